"""Scorers on vLLM itself, in process and served, against the same weights with transformers (`make test-vllm`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stepviz.bench_server import serving
from stepviz.embedded import path
from stepviz.errors import StepvizError
from stepviz.reward import load_scorer
from stepviz.reward.encoding import Encoded
from stepviz.reward.scorer import Scorer
from stepviz.world import embedded_problems
from tests import tiny_scorers
from tests.test_reward import CHAINS, QUESTION

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")

CLOSE = 1e-4
TAGGED = [*CHAINS, (QUESTION, ["3+12=15", "коки знают ки", "#### 15"])]  # a step may hold the tag's letters
Make = Callable[[Path], Path]
TINY: dict[str, Make] = {
    "one label": lambda f: tiny_scorers.lines(f / "orm", labels=1, sizes=tiny_scorers.WIDE, role="orm"),
    "qwen-prm": lambda f: tiny_scorers.qwen_prm(f / "prm", sizes=tiny_scorers.WIDE),
    "math-shepherd": lambda f: tiny_scorers.shepherd(f / "math-shepherd", prepend="always", sizes=tiny_scorers.WIDE),
}
SHEPHERD = [  # as the README has it
    "--convert=classify",
    '--hf-overrides={"method": "no_post_processing", "classifier_from_token": ["▁+", "▁-"]}',
    '--pooler-config={"task": "token_classify"}',
]


def solutions(n: int = 64) -> list[tuple[str, list[str]]]:
    return [(p.question, (p.solution or "").strip().split("\n")) for p in embedded_problems("test", n)]


def apart(one: Scorer, other: Scorer, chains: list[tuple[str, list[str]]]) -> float:
    """The largest difference; the scores differ among themselves, so that it is not by chance."""
    found, expected = one.score(chains), other.score(chains)
    assert [len(s) for s in found] == [len(steps) for _, steps in chains]
    assert max(map(max, expected)) - min(map(min, expected)) > 0.02
    return max(abs(a - b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True))


def test_the_embedded_sorm_scores_the_same_in_vllm_and_is_the_same_model() -> None:
    ours, theirs = load_scorer("embedded:sorm", "cpu"), load_scorer("vllm:embedded:sorm", "cpu")
    assert (theirs.model_id, theirs.role, theirs.context) == (ours.model_id, "sorm", ours.context)
    assert apart(theirs, ours, solutions()) < CLOSE
    full = [Encoded((7,) * ours.context, (ours.context - 1,))]
    assert theirs.probabilities(full)[0] == pytest.approx(ours.probabilities(full)[0], abs=CLOSE)
    why: dict[int, str] = {}
    assert theirs.score([(QUESTION, ["1+1=2"] * 600), (QUESTION, [])], on_refused=why.__setitem__) == [[], []]
    assert sorted(why) == [0, 1]
    told: list[int] = []
    many = solutions() * 3
    found = theirs.score(many, on_scores=lambda i, s: told.append(i), cancelled=lambda: bool(told))
    assert 0 < len(told) < len(many)
    assert sum(map(bool, found)) == len(told)
    theirs.close()


def test_in_bfloat16_it_is_another_model_with_scores_close_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, by the checkpoint's own word; also the probe must take what so few digits make of a number."""
    monkeypatch.setattr("stepviz.reward.vllm.precision", lambda *_: torch.bfloat16)
    ours, theirs = load_scorer("embedded:sorm", "cpu"), load_scorer("vllm:embedded:sorm", "cpu")
    assert theirs.model_id == f"{ours.model_id}+bfloat16"
    assert CLOSE < apart(theirs, ours, solutions()) < 0.1
    theirs.close()


@pytest.mark.parametrize("kind", TINY)
def test_every_kind_scores_the_same_in_vllm(kind: str, tmp_path: Path) -> None:
    folder = TINY[kind](tmp_path)
    ours, theirs = load_scorer(f"hf:{folder}", "cpu"), load_scorer(f"vllm:{folder}", "cpu")
    assert (theirs.kind, theirs.role, theirs.model_id) == (ours.kind, ours.role, ours.model_id)
    assert apart(theirs, ours, TAGGED) < CLOSE
    theirs.close()


def test_a_model_that_reads_both_ways_is_refused(tmp_path: Path) -> None:
    folder = tiny_scorers.encoder_only(tmp_path / "bert", heads=1)
    with pytest.raises(StepvizError, match="reads both ways"):
        load_scorer(f"vllm:lines:{folder}", "cpu")


def test_the_embedded_sorm_scores_the_same_behind_a_server() -> None:
    with serving(path("sorm"), "--runner=pooling", "--served-model-name=embedded:sorm") as url:
        theirs, ours = load_scorer(f"openai:{url}#embedded:sorm"), load_scorer("embedded:sorm", "cpu")
        assert (theirs.model_id, theirs.role) == (f"{ours.model_id}+openai", "sorm")
        assert apart(theirs, ours, solutions()) < CLOSE
        full = [Encoded((7,) * ours.context, (ours.context - 1,))]
        assert theirs.probabilities(full)[0] == pytest.approx(ours.probabilities(full)[0], abs=CLOSE)
    with pytest.raises(StepvizError, match="cannot be reached"):
        theirs.score(solutions(1))


def test_a_qwen_prm_scores_the_same_behind_a_server(tmp_path: Path) -> None:
    """Of this class vLLM returns the rows at token 151651 alone, which is <extra_0> in the published vocabulary."""
    folder = TINY["qwen-prm"](tmp_path)
    ours = load_scorer(f"hf:{folder}", "cpu")
    with serving(folder, "--runner=pooling", f'--pooler-config={{"step_tag_id": {ours.encode.id}}}') as url:
        assert apart(load_scorer(f"openai:{url}#{folder}"), ours, TAGGED) < CLOSE


@pytest.mark.parametrize("pooling", ["ALL", "STEP"])
def test_a_shepherd_scores_the_same_behind_a_server(pooling: str, tmp_path: Path) -> None:
    folder = TINY["math-shepherd"](tmp_path)
    ours, options = load_scorer(f"hf:{folder}", "cpu"), list(SHEPHERD)
    if pooling == "STEP":
        task = {"task": "token_classify", "tok_pooling_type": "STEP", "step_tag_id": ours.encode.id}
        options[-1] = f"--pooler-config={json.dumps(task)}"
    with serving(folder, "--runner=pooling", *options) as url:
        assert apart(load_scorer(f"openai:{url}#math-shepherd:{folder}"), ours, TAGGED) < CLOSE


def test_a_server_of_a_language_model_is_said() -> None:
    with serving(path("student")) as url, pytest.raises(StepvizError, match=r"/pooling is not there.*--runner pooling"):
        load_scorer(f"openai:{url}#lines:{path('student')}")
