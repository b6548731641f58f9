"""GLoRe's inference on drafts whose scores are given: when, where, how, and what is kept. An engine by script."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stepviz.errors import StepvizError
from stepviz.refinement import GREEDY, Draft, Score, locate, refine, rerank
from stepviz.refining import require_mark
from stepviz.types import Completion, Request, Sampling
from tests.refine_cases import rest

Q = "Tom has 3 apples and buys 12 more. How many?"
WRONG = Draft(Q, ("Tom has 3 apples.", "3+12=16", "#### 16"))
RIGHT = Draft("What is 2+2?", ("2+2=4", "#### 4"))
FIXED = ("Tom has 3 apples.", "3+12=15", "#### 15")


class Refiner:
    """Stands where a model stands: answers by the place of the mark, and remembers what it was asked."""

    model_id, spec, device, context = "refiner@1", "scripted", "cpu", 100

    def __init__(self, local: str = "\n".join(FIXED), globally: str = "3-12=9\n#### 9", reason: str = "stop") -> None:
        self.local, self.globally, self.reason, self.prompts = local, globally, reason, []

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        assert sampling.temperature == 0
        self.prompts += [r.question for r in requests]
        texts = [self.globally if "Draft:\n[BAD]" in r.question else self.local for r in requests]
        return [Completion(rest(r.question, t), self.reason, 9) for r, t in zip(requests, texts, strict=True)]


def scorer(scores: dict[tuple[str, ...], list[float]]) -> Score:
    return lambda chains: [scores[tuple(steps)] for _, steps in chains]


SORM = scorer({WRONG.steps: [0.9, 0.5, 0.1], RIGHT.steps: [0.9, 0.8]})
ORM = scorer({
    WRONG.steps: [0.6, 0.4, 0.2], RIGHT.steps: [0.9, 0.9], FIXED: [0.7, 0.8, 0.95], ("3-12=9", "#### 9"): [0.3, 0.3],
})  # fmt: skip


def test_the_error_is_the_first_step_at_or_below_the_threshold() -> None:
    assert locate([0.9, 0.5, 0.1]) == 2
    assert locate([0.9, 0.51]) is None
    assert locate([0.9, 0.51], 0.6) == 2
    assert locate([]) is None


def test_a_wrong_draft_is_refined_both_ways_and_the_orm_keeps_the_best() -> None:
    (outcome,) = refine([WRONG], Refiner(), ORM, SORM)
    assert outcome.where == 2
    assert outcome.when == 0.2
    assert outcome.scores == {"draft": 0.2, "global": 0.3, "local": 0.95}
    assert outcome.pick == "local"
    assert outcome.solution("local") == FIXED


def test_the_mark_stands_where_the_kind_says() -> None:
    refiner = Refiner()
    refine([WRONG], refiner, ORM, SORM)
    assert [p.partition("Draft:\n")[2] for p in refiner.prompts] == [
        "[BAD] Tom has 3 apples.\n3+12=16\n#### 16\nRefinement:\n",
        "Tom has 3 apples.\n[BAD] 3+12=16\n#### 16\nRefinement:\nTom has 3 apples.\n",
    ]


def test_a_gate_spares_what_the_orm_believes() -> None:
    refiner = Refiner()
    spared, refined = refine([RIGHT, WRONG], refiner, ORM, SORM, gate=0.5)
    assert spared.refinements == {}
    assert spared.pick == "draft"
    assert set(refined.refinements) == {"global", "local"}
    assert len(refiner.prompts) == 2


def test_a_draft_without_a_flag() -> None:
    believed = scorer({WRONG.steps: [0.9, 0.8, 0.7]})
    (by_default,) = refine([WRONG], Refiner(), ORM, believed, how=("local",))
    assert set(by_default.refinements) == {"global"}
    (lowest,) = refine([WRONG], Refiner(local="#### 16"), ORM, believed, how=("local",), no_flag="argmin")
    assert lowest.where == 3
    (skipped,) = refine([WRONG], Refiner(), ORM, believed, how=("local",), no_flag="skip")
    assert skipped.refinements == {}


def test_at_the_first_step_local_and_global_are_one() -> None:
    refiner = Refiner()
    (outcome,) = refine([WRONG], refiner, ORM, at=[1])
    assert len(refiner.prompts) == 1
    assert outcome.refinements["local"].text == outcome.refinements["global"].text


def test_what_was_cut_off_is_shown_and_never_kept() -> None:
    (outcome,) = refine([WRONG], Refiner(reason="length"), ORM, SORM)
    assert set(outcome.refinements) == {"global", "local"}
    assert outcome.pick == "draft"


def test_without_an_orm_the_local_refinement_is_kept() -> None:
    (outcome,) = refine([WRONG], Refiner(), None, SORM)
    assert outcome.pick == "local"
    assert outcome.scores == {}


def test_of_equals_the_draft_is_kept() -> None:
    assert rerank({"draft": 0.5, "global": 0.5, "local": 0.4}) == "draft"


def test_what_lacks_its_scorer_is_a_users_error() -> None:
    with pytest.raises(StepvizError, match="where"):
        refine([WRONG], Refiner(), ORM)
    with pytest.raises(StepvizError, match="when"):
        refine([WRONG], Refiner(), None, SORM, gate=0.5)
    with pytest.raises(StepvizError, match="no steps"):
        refine([Draft(Q, ())], Refiner(), None, scorer({(): []}))


# ---- edge cases (papers.md 1.7)


def test_the_answer_line_may_be_flagged_and_the_steps_before_it_stay() -> None:
    refiner = Refiner(local="#### 16")
    believed_till_the_end = scorer({WRONG.steps: [0.9, 0.8, 0.5]})
    (outcome,) = refine([WRONG], refiner, ORM, believed_till_the_end, how=("local",))
    assert outcome.where == 3
    assert refiner.prompts == [
        f"{Q}\nDraft:\nTom has 3 apples.\n3+12=16\n[BAD] #### 16\nRefinement:\nTom has 3 apples.\n3+12=16\n"
    ]
    assert outcome.solution("local") == WRONG.steps


def test_a_refinement_that_says_what_the_draft_says_gets_its_score_and_the_draft_stands() -> None:
    asked: list[tuple[str, ...]] = []

    def moody(chains: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """Another score each time: what batches of another shape do to the last digits."""
        asked.extend(tuple(steps) for _, steps in chains)
        return [[0.2 + 0.1 * len(asked)] * len(steps) for _, steps in chains]

    (outcome,) = refine([WRONG], Refiner(local="\n".join(WRONG.steps) + "\n"), moody, at=[2], how=("local",))
    assert outcome.solution("local") == WRONG.steps
    assert outcome.scores["local"] == outcome.scores["draft"]
    assert outcome.pick == "draft"
    assert asked == [WRONG.steps]


def test_a_refiner_that_repeats_the_mark_is_read_without_it() -> None:
    (outcome,) = refine(
        [WRONG], Refiner(local="Tom has 3 apples.\n[BAD] 3+12=15\n[BAD]#### 15"), ORM, at=[2], how=("local",)
    )
    made = outcome.refinements["local"]
    assert (made.steps, made.marks) == (FIXED, 2)
    assert made.text == "Tom has 3 apples.\n3+12=15\n#### 15"
    assert outcome.pick == "local"


def test_a_local_refinement_keeps_the_steps_before_the_bad_one_whatever_the_refiner_writes() -> None:
    """It is handed them as the beginning of its answer; a global one begins with nothing."""
    refiner = Refiner(local="3+12=15\n#### 15")
    (outcome,) = refine([WRONG], refiner, ORM, at=[2])
    assert outcome.solution("local") == FIXED
    assert [prompt.partition("Refinement:\n")[2] for prompt in refiner.prompts] == ["", "Tom has 3 apples.\n"]


def test_a_refiner_of_suffixes_gets_the_kept_steps_in_front() -> None:
    (outcome,) = refine([WRONG], Refiner(local="3+12=15\n#### 15"), ORM, at=[2], suffix=True)
    assert outcome.solution("local") == FIXED
    assert outcome.solution("global") == ("3-12=9", "#### 9")
    assert outcome.scores["local"] == 0.95


def test_a_refiner_that_writes_nothing_is_never_picked() -> None:
    (outcome,) = refine([WRONG], Refiner(local="", globally=""), ORM, SORM)
    assert outcome.pick == "draft"
    assert outcome.scores == {"draft": 0.2}


class Short(Refiner):
    """Reads prompts with "2+2" only."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        return [
            done if "2+2" in request.question else Completion("", "error", 0, error="the prompt has 101 tokens")
            for request, done in zip(requests, super().generate(requests, sampling), strict=True)
        ]


def test_a_draft_too_long_for_the_refiner_harms_no_other() -> None:
    long, short = refine([WRONG, RIGHT], Short(), ORM, at=[2, 1])
    assert {made.error for made in long.refinements.values()} == {"the prompt has 101 tokens"}
    assert long.pick == "draft"
    assert set(short.scores) == {"draft", "global", "local"}
    with pytest.raises(StepvizError, match="none of these drafts: the prompt has 101 tokens"):
        refine([WRONG], Short(), ORM, at=[2])


def test_a_spared_draft_is_not_lost_with_the_only_one_that_is_too_long_for_the_refiner() -> None:
    spared, long = refine([RIGHT, WRONG], Short(), ORM, SORM, gate=0.5)
    assert (spared.chosen, spared.pick) == (False, "draft")
    assert {made.error for made in long.refinements.values()} == {"the prompt has 101 tokens"}


def test_a_draft_that_the_orm_cannot_score_is_left_as_it_is() -> None:
    refiner = Refiner()
    (outcome,) = refine([WRONG], refiner, scorer({WRONG.steps: []}), SORM)
    assert (outcome.chosen, outcome.pick, refiner.prompts) == (False, "draft", [])


class Sampler(Refiner):
    """Another answer for every seed; of the local ones the third is right."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        assert sampling.temperature == 0.7
        assert len({request.seed for request in requests}) == len(requests) == 6
        texts = ["1-1=0\n#### 0"] * 5 + ["\n".join(FIXED[1:])]
        return [Completion(text, "stop", 9) for text in texts]


def test_several_samples_of_each_kind_are_ranked_with_the_draft() -> None:
    orm = scorer({WRONG.steps: [0.2], ("1-1=0", "#### 0"): [0.1], (FIXED[0], "1-1=0", "#### 0"): [0.1], FIXED: [0.95]})
    warm = Sampling(temperature=0.7, style=GREEDY.style)
    (outcome,) = refine([WRONG], Sampler(), orm, at=[2], sampling=warm, samples=3)
    assert list(outcome.scores) == ["draft", "global", "global 2", "global 3", "local", "local 2", "local 3"]
    assert outcome.pick == "local 3"
    with pytest.raises(StepvizError, match="temperature 0 gives the same text"):
        refine([WRONG], Refiner(), orm, at=[2], samples=3)


def test_a_model_without_the_mark_is_no_refiner() -> None:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from tests.tiny import byte_tokenizer

    require_mark(byte_tokenizer(), "tiny")
    raw = Tokenizer.from_str(byte_tokenizer().backend_tokenizer.to_str().replace("[BAD]", "[ODD]"))
    with pytest.raises(StepvizError, match=r"theirs has no \[BAD\] token.*python -m training refiner"):
        require_mark(PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>"), "theirs")
