"""Step reward models: a probability after each step of a chain, from one forward pass over it.

`load_scorer` takes a spec, a string that a command or a form can hold:

| spec                      | what is loaded                                                                        |
|---------------------------|---------------------------------------------------------------------------------------|
| `embedded:NAME`           | a scorer that ships with the project                                                  |
| `hf:ID_OR_PATH`           | any of those below, recognised by its config and tokenizer                            |
| `lines:ID_OR_PATH`        | a causal backbone with a token classification head, read at the newline after a step  |
| `qwen-prm:ID_OR_PATH`     | a Qwen2.5-Math-PRM: `<extra_0>` after each step, two labels                           |
| `math-shepherd:ID_OR_PATH`| a Math-Shepherd: a causal model, the tag `ки` after each step, `+` against `-`        |
| `vllm:` before any of them| the same on vLLM's pooling runner, in this process; also `vllm:ID_OR_PATH`            |
| `openai:URL#MODEL`        | a pooling model that vLLM serves; a kind may stand before MODEL                       |

What a score estimates is the scorer's `role`: an "orm" V of the student, a "sorm" whether the problem can still be
solved, a "prm" whether the step is correct (design.md, section 1). They are never drawn as one quantity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepviz.reward.specs import KINDS, ROLES, SPECS, place

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer


def load_scorer(spec: str, device: str | None = None) -> Scorer:
    """The scorer of a spec; StepvizError where the spec is unknown or its model is none, saying what to do.

    `device`: "cpu", "cuda", "cuda:1"; by default cuda where there is one. Safetensors only, no remote code.
    """
    where = place(spec)
    if where.runs == "here":
        from stepviz.reward.loading import load

        return load(spec, where, device)
    if where.runs == "vllm":
        from stepviz.reward.vllm import load as load_in_vllm

        return load_in_vllm(spec, where, device)
    from stepviz.reward.served import connect

    return connect(spec, where)


__all__ = ["KINDS", "ROLES", "SPECS", "load_scorer"]
