"""The embedded world: word problems with a known graph of quantities, and an exact judge of steps."""

from stepviz.world.generator import embedded_problems, problem
from stepviz.world.graph import Graph
from stepviz.world.judge import ExactJudge, Judgement, StepJudgement, exact_for

__all__ = ["ExactJudge", "Graph", "Judgement", "StepJudgement", "embedded_problems", "exact_for", "problem"]
