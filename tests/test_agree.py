"""`agree` on stores: real labels of the data that is there, and one embedded problem whose truth is worked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from db.values import ModelRow
from stepviz.cli import app
from stepviz.types import Annotation, Chain, SourceItem
from stepviz.world import embedded_problems
from tests.store_cases import WRONG, chain, new_url


@pytest.fixture
def url(tmp_path: Path) -> str:
    return new_url(tmp_path)


def run(url: str, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["agree", "--db", url, *arguments])
    return done.exit_code, done.stdout, str(done.exception)


def told(url: str, *arguments: str) -> dict[str, Any]:
    code, out, error = run(url, "--json", *arguments)
    assert code == 0, error
    return json.loads(out)


def imported(url: str, *arguments: str) -> None:
    assert CliRunner().invoke(app, ["import", *arguments, "--db", url]).exit_code == 0


def test_stepverifys_teachers_among_themselves(url: str, shared_data: Path) -> None:
    """The figures that stand with the data: 60 % exact, 87 % within one step, alpha 0.50, of 235 solutions."""
    imported(url, "stepverify", str(shared_data / "stepverify/dataset.json"))
    found = told(url, "--a", "stepverify/*", "--b", "stepverify/*")
    where = found["localisation"]
    assert [round(where[name]["value"], 2) for name in ("exact", "within_one", "alpha")] == [0.60, 0.87, 0.50]
    assert (found["chains"], where["exact"]["n"], where["alpha"]["n"]) == (235, 679, 235)
    assert found["processbench"] == {}
    assert found["detection"]["alpha"]["why"].startswith("only one label was ever given")
    assert "kappa" not in found["by_step"]


def test_processbench_against_the_equations(url: str, shared_data: Path) -> None:
    """docs/results/gsm8k.json has ProcessBench's F1 of the same judge by another code: they are the same numbers."""
    imported(url, "processbench", str(shared_data / "processbench/gsm8k.json"))
    found = told(url, "--a", "processbench", "--b", "equations")
    (known,) = json.loads(Path("docs/results/equations.json").read_text())["tables"].values()
    numbers = [round(100 * found["processbench"][name]["value"], 1) for name in ("error_acc", "correct_acc", "f1")]
    assert numbers == [round(known[0][name], 1) for name in ("error_acc", "correct_acc", "f1")]
    assert found["processbench"]["f1"]["low"] < found["processbench"]["f1"]["value"]
    code, _, error = run(url, "--a", "processbench", "--b", "exact")
    assert (code, error) == (1, "there is no chain that both processbench and exact spoke of")


def test_a_page_of_problems_is_read_as_each_of_them_is(url: str, shared_data: Path) -> None:
    imported(url, "processbench", str(shared_data / "processbench/gsm8k.json"))
    with open_store(url) as store:
        ids = [row.id for row in store.problems(limit=200)]
        some = store.chains(ids[3])[0].chain
        store.add_model(ModelRow("tiny/sorm@1", "sorm", "hf:tiny/sorm"))
        store.add_scores(some.id, "tiny/sorm@1", [0.5] * some.n)
        assert store.chains_in(ids) == {id: store.chains(id) for id in ids}
        labels, scores = store.annotations_in(ids), store.scores_in(ids)
        each = [store.annotations_for(id) for id in ids]
        assert labels == {chain: rows for one in each for chain, rows in one.items()}
        assert scores == store.scores_for(ids[3])
        assert store.annotations_in([]) == store.chains_in([]) == {}


@pytest.fixture
def world(url: str) -> str:
    """Of one problem (six derivations and the answer) its reference, and it with a wrong first product, which all that
    follows inherits. ana finds both right, bob sees the error one step late."""
    problem = list(embedded_problems("test", 2))[1]
    right = chain(problem, "right", problem.solution)
    wrong = chain(problem, "wrong", problem.solution.replace("13+17=<<13+17=30>>30", "13+17=<<13+17=31>>31"))
    assert right.n == wrong.n == 7
    with open_store(url) as store:
        store.add_items([SourceItem(problem, (right, wrong))], {wrong.id: WRONG})
        for of in (right, wrong):
            for step in range(1, 8):
                store.add_annotation(Annotation(of.id, "ana", "correct", step, 1))
        store.add_annotation(Annotation(right.id, "bob", "first_error", 0, None))
        store.add_annotation(Annotation(wrong.id, "bob", "first_error", 0, 2))
        scored(store, right, 0.9)
        scored(store, wrong, 0.2)
    return url


def scored(store: Store, of: Chain, first: float) -> None:
    store.add_model(ModelRow("tiny/sorm@1", "sorm", "hf:tiny/sorm"))
    store.add_scores(of.id, "tiny/sorm@1", (first, *[0.8] * 6))


def test_people_against_the_exact_truth(world: str) -> None:
    found = told(world, "--a", "exact", "--b", "bob")
    assert found["detected"] == [[1, 0], [0, 1]]
    assert (found["localisation"]["exact"]["value"], found["localisation"]["within_one"]["value"]) == (0, 1)
    assert found["processbench"]["f1"]["value"] == 0
    # of the wrong chain the truth speaks of step 1, where bob sees nothing
    assert found["confusion"] == [[7, 0], [1, 0]]
    ana = told(world, "--a", "exact", "--b", "ana")
    assert ana["detected"] == [[1, 0], [1, 0]]
    assert ana["detection"]["kappa"]["value"] is None
    assert ana["detection"]["kappa"]["why"].startswith("one of the two gave every label alike")
    assert ana["processbench"]["error_acc"]["value"] == 0


def test_a_scorer_at_its_threshold(world: str) -> None:
    for name in ("hf:tiny/sorm", "tiny/sorm@1", "tiny/sorm", "scorer:tiny/sorm"):
        found = told(world, "--a", "exact", "--b", name)
        assert found["processbench"]["f1"]["value"] == 1
    assert found["confusion"] == [[7, 0], [0, 1]]
    assert found["thresholds"] == {"tiny/sorm": 0.5}
    assert told(world, "--a", "exact", "--b", "tiny/sorm", "--threshold", "0.1")["detected"] == [[1, 0], [1, 0]]
    of = found["scores"]["tiny/sorm"]
    # of eight steps one is an error, scored .2; of the others one is scored .9 and six .8
    assert (of["n"], of["roc_auc"]) == (8, 1.0)
    assert of["brier"] == pytest.approx((0.2**2 + 0.1**2 + 6 * 0.2**2) / 8)
    assert of["ece"] == pytest.approx((0.2 + 0.1 + 6 * 0.2) / 8)


def test_solvable_is_another_question(url: str) -> None:
    """A chain that states another answer is finished, and lost with that line alone: its pit. The scorer doubts an
    earlier step, too, and what it says of the steps between is no missing label."""
    problem = list(embedded_problems("test", 2))[1]
    late = chain(problem, "late", problem.solution.replace("#### 88", "#### 89"))
    with open_store(url) as store:
        store.add_items([SourceItem(problem, (late,))], {late.id: WRONG})
        store.add_annotation(Annotation(late.id, "ana", "correct", 1, 1))
        store.add_model(ModelRow("tiny/sorm@1", "sorm", "hf:tiny/sorm"))
        store.add_scores(late.id, "tiny/sorm@1", (0.9, 0.9, 0.4, 0.9, 0.9, 0.9, 0.1))
    found = told(url, "--a", "exact", "--b", "tiny/sorm", "--question", "solvable")
    assert found["confusion"] == [[5, 1], [0, 1]]
    assert found["localisation"]["exact"]["value"] == 0
    assert found["detected"] == [[0, 0], [0, 1]]
    code, _, error = run(url, "--a", "exact", "--b", "ana", "--question", "solvable")
    assert (code, error) == (1, "there is no chain that both exact and ana spoke of")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--a", "exact", "--b", "nobody"),
            "nobody is called 'nobody' here; there are: rollouts, exact, equations, ana",
        ),
        (("--a", "exact", "--b", "equations", "--question", "solvable"), "not whether they are solvable"),
        (("--a", "rollouts", "--b", "exact"), "rollouts says whether steps are solvable, not whether they are correct"),
        (("--a", "exact", "--b", "ana", "--question", "nice"), "--question is correct or solvable"),
        (("--a", "exact", "--b", "tiny/sorm", "--threshold", "2"), "a score between 0 and 1"),
        (("--a", "exact", "--b", "tiny/sorm", "--tune-split", "dev"), "name two"),
        (("--a", "exact", "--b", "tiny/sorm", "--tune-split", "dev", "--split", "dev"), "name two"),
        (("--a", "exact", "--b", "ana", "--tune-split", "dev", "--split", "test"), "ana is no scorer"),
        (("--a", "exact", "--b", "tiny/sorm", "--tune-split", "dev", "--split", "test"), "no threshold can be chosen"),
    ],
)
def test_what_cannot_be_asked(world: str, arguments: tuple[str, ...], said: str) -> None:
    code, _, error = run(world, *arguments)
    assert code == 1
    assert said in error


def test_text_for_people(world: str) -> None:
    code, out, _ = run(world, "--a", "exact", "--b", "tiny/sorm")
    assert code == 0
    assert "exact (reference) and tiny/sorm, correct: 1 problems, 2 chains, 8 steps" in out
    assert "tiny/sorm at the threshold 0.5" in out
    assert "F1           1.000" in out


def test_a_threshold_is_chosen_on_another_split(world: str) -> None:
    """On dev a wrong step is scored .6 and right ones .8: from .6 on it is found, below it is not."""
    problem = next(iter(embedded_problems("dev", 1)))
    lines = problem.solution.split("\n")
    right = chain(problem, "right", problem.solution)
    wrong = chain(problem, "wrong", "\n".join(["1+1=<<1+1=3>>3 things", *lines[1:]]))
    with open_store(world) as store:
        store.add_items([SourceItem(problem, (right, wrong))], {wrong.id: WRONG})
        for of, first in ((right, 0.8), (wrong, 0.6)):
            store.add_scores(of.id, "tiny/sorm@1", (first, *[0.8] * (of.n - 1)))
    found = told(world, "--a", "exact", "--b", "tiny/sorm", "--split", "test", "--tune-split", "dev")
    assert found["thresholds"] == {"tiny/sorm": 0.6}
    assert (found["split"], found["chains"]) == ("test", 2)
    tuned = found["tuned"]
    assert (tuned["split"], tuned["by"], tuned["chains"], tuned["at"]["f1"]) == ("dev", "f1", 2, 1)
    # of steps, too: at .6 the wrong one of dev alone is flagged, and of test the one scored .2
    by_steps = told(
        world, "--a", "exact", "--b", "tiny/sorm", "--split", "test", "--tune-split", "dev", "--tune-by", "kappa"
    )
    assert (by_steps["thresholds"], by_steps["tuned"]["at"]["kappa"]) == ({"tiny/sorm": 0.6}, 1)
    assert by_steps["scores"]["tiny/sorm"]["at_threshold"]["f1"]["value"] == 1
    assert [at["threshold"] for at in by_steps["sweeps"]["tiny/sorm"]] == [0.2, 0.8, 0.9]


def test_what_a_threshold_is_chosen_by(world: str) -> None:
    """On dev three chains are wrong in their first step, scored .6, .75 and .75, and two are right, one scored .8
    throughout and one .7. At .6 one error of three is found and nobody accused: ProcessBench's F1 is 1/2; at .75 all
    are found and one of the two accused: 2/3. Of steps that is a chain of false alarms: kappa is higher at .6."""
    problem = next(iter(embedded_problems("dev", 1)))
    lines = problem.solution.split("\n")
    slip = "\n".join(["1+1=<<1+1=3>>3 things", *lines[1:]])
    made = [(problem.solution, 0.8, 0.8), (problem.solution, 0.7, 0.7), *((slip, x, 0.8) for x in (0.6, 0.75, 0.75))]
    chains = [chain(problem, str(i), text) for i, (text, *_) in enumerate(made)]
    with open_store(world) as store:
        store.add_items([SourceItem(problem, tuple(chains))], {c.id: WRONG for c in chains[2:]})
        for c, (_, first, rest) in zip(chains, made, strict=True):
            store.add_scores(c.id, "tiny/sorm@1", (first, *[rest] * (c.n - 1)))
    words = ("--a", "exact", "--b", "tiny/sorm", "--split", "test", "--tune-split", "dev", "--tune-by")
    first, kappa = (told(world, *words, by) for by in ("f1", "kappa"))
    assert (first["thresholds"], first["tuned"]["at"]["f1"]) == ({"tiny/sorm": 0.75}, pytest.approx(2 / 3))
    n, errors = 2 * chains[0].n + 3, 3
    chance = (errors * 1 + (n - errors) * (n - 1)) / n**2
    assert kappa["thresholds"] == {"tiny/sorm": 0.6}
    assert kappa["tuned"]["at"]["kappa"] == pytest.approx(((n - 2) / n - chance) / (1 - chance))


EXACT_SORM = "--a", "exact", "--b", "tiny/sorm", "--split", "test"


def test_what_is_learnt_stands_in_the_models_record_and_beside_the_raw_numbers(world: str) -> None:
    """On this one problem the error is scored .2 and the rest .8 or .9: isotonic reads that as 0 and 1."""
    words = ["calibrate", "--db", world, "--model", "tiny/sorm", "--against", "exact", "--split", "test", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["steps"] == 8
    again = told(world, "--a", "exact", "--b", "tiny/sorm")["scores"]["tiny/sorm"]["recalibrated"]
    assert (again["brier"], again["ece"], again["kind"], again["split"]) == (0, 0, "isotonic", "test")
    assert again["in_sample"]  # of all splits
    assert "test, exact; they are among the steps here: look at another split)" in run(world, *EXACT_SORM)[1]
    assert (
        "recalibrated"
        not in told(world, "--a", "exact", "--b", "tiny/sorm", "--question", "solvable")["scores"]["tiny/sorm"]
    )
    with open_store(world) as store:
        (known,) = store.model("tiny/sorm@1").meta["calibrations"]
        assert (known["question"], known["against"], known["steps"]) == ("correct", "exact", 8)
        store.calibrate("tiny/sorm@1", {"kind": "temperature", "t": 1e6, "question": "correct", "split": "dev"})
    newer = told(world, *EXACT_SORM)["scores"]["tiny/sorm"]["recalibrated"]
    assert newer["brier"] == pytest.approx(0.25, abs=1e-3)
    assert not newer["in_sample"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "ana", "--against", "exact", "--split", "test"), "ana is no scorer"),
        (("--model", "tiny/sorm", "--against", "exact", "--split", "dev"), "says too little (none)"),
        (("--model", "tiny/sorm", "--against", "ana", "--split", "test"), "says too little (all of them are well)"),
        (("--model", "tiny/sorm", "--against", "ana", "--split", "test", "--kind", "magic"), "--kind is isotonic or"),
    ],
)
def test_what_cannot_be_learnt(world: str, words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["calibrate", "--db", world, *words])
    assert done.exit_code == 1
    assert said in str(done.exception)


def test_correct_against_solvable_of_two_judges(world: str) -> None:
    """bob labels the right chain's seven steps and two of the wrong one's; the SORM doubts the first of these alone."""
    words = ["crosstab", "--db", world, "--correct", "bob", "--solvable", "tiny/sorm", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert {name: cell["n"] for name, cell in found["cells"].items()} == {
        "right, solvable": 7, "right but a dead end": 1, "wrong but recoverable": 1, "wrong, lost": 0,
    }  # fmt: skip
    (at,) = found["cells"]["wrong but recoverable"]["steps"]
    assert at["step"] == 2
    assert at["address"] == f"/?problem={at['problem']}&chain={at['chain']}&step=2"
    plain = CliRunner().invoke(app, words[:-1]).stdout
    assert "wrong but recoverable       1  11.1 [" in plain
    assert at["address"] in plain
    wrong = CliRunner().invoke(app, [*words[:4], "bob", "--solvable", "bob"])
    assert "no step of which both bob and bob spoke" in str(wrong.exception)
