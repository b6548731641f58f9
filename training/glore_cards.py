"""Model cards of the embedded ORM, SORM and refiner."""

from __future__ import annotations

_HEAD = """
---
license: apache-2.0
library_name: transformers
tags: [stepviz, embedded-world]
---
"""

_FOOT = """
It shows signs and mechanisms of step-level supervision, not the size of effects on large models. It belongs to the
student of the same folder: another student needs another one. Held-out figures are those of training.json.

Make it again: `python -m training embedded --stage glore`
"""

ORM = f"""{_HEAD}
# stepviz embedded ORM

An outcome reward model (GLoRe, arXiv 2402.10963): a LlamaForTokenClassification whose probability of "right" at the
newline after a step estimates V, the student's chance to reach the right answer from there. Fine-tuned from `student`
on its own drafts at temperature 1 of training problems, each step labelled with its draft's outcome. No exact truth
was used.
{_FOOT}"""

SORM = f"""{_HEAD}
# stepviz embedded SORM

A stepwise outcome reward model (GLoRe, arXiv 2402.10963): a LlamaForTokenClassification whose probability of "right"
at the newline after a step says whether the right answer can still be reached from there; at or below 0.5 the step is
bad. Fine-tuned from `student` on its own drafts of training problems, labelled by eight rollouts a prefix, with
consistent verifiers, positives carried back, and as many positive as negative labels at each prefix length. No exact
truth was used.
{_FOOT}"""

REFINER = f"""{_HEAD}
# stepviz embedded refiner

Rewrites a wrong draft (GLoRe, arXiv 2402.10963). The prompt is the question, `Draft:`, the draft with the token `[BAD]`
before its first bad step (a local refinement) or before its first step (a global one), and `Refinement:`, each on lines
of their own; it answers with the whole new solution. Fine-tuned from `student` on its own wrong drafts of training
problems, paired with right verifying traces and with right drafts of the same question, mixed.
{_FOOT}"""

CARDS = {"orm": ORM, "sorm": SORM, "refiner": REFINER}
