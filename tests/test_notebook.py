"""`stepviz.open(URL)`: the store as pandas frames, with values worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import stepviz
from db.models import Base
from db.store import open_store
from db.values import ModelRow
from stepviz.errors import StepvizError
from stepviz.notebook import Notebook
from stepviz.types import Annotation, Sampling, SourceItem, Verdict
from tests.store_cases import RIGHT, SAMPLING, WRONG, chain, draw, new_url, problem

MANUAL = (Path(__file__).parents[1] / "docs" / "store.md").read_text(encoding="utf-8")
P = problem()
RIGHT_CHAIN = chain(P, "right")  # 2+3=5 | She has 5. | A: 5
WRONG_CHAIN = chain(P, "wrong", text="2+3=5\nShe gives 3 away.\nA: 2")  # shares its first prefix
OPEN_CHAIN = chain(P, "open", text="2+3=5\nShe has 5.")  # no answer line, no separator after the last step
OTHER = Sampling(temperature=0.0)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    url = new_url(tmp_path)
    with open_store(url) as store:
        store.add_model(ModelRow("embedded/student"))
        for sampling in (SAMPLING, OTHER):
            store.add_sampling(sampling)
        label = Annotation(WRONG_CHAIN.id, "pb", "first_error", 0, 2)
        items = [SourceItem(P, (RIGHT_CHAIN, WRONG_CHAIN, OPEN_CHAIN), (label,)), SourceItem(problem("\0 \ud800?"))]
        store.add_items(items, {RIGHT_CHAIN.id: RIGHT, WRONG_CHAIN.id: WRONG})
        store.add_annotation(Annotation(RIGHT_CHAIN.id, "ana", "correct", 1, 1))
        store.add_annotation(Annotation(RIGHT_CHAIN.id, "ana", "correct", 1, 0))
        # the question: 2 of 4, one cut off; the first step: 3 of 4; the wrong second step: 0 of 4
        store.add_continuations(
            [draw(P, j, verdict=v) for j, v in enumerate(["correct", "correct", "wrong"])]
            + [draw(P, 3, verdict="unknown", finish_reason="length", answer=None)]
            + [draw(P, j, verdict="wrong" if j == 2 else "correct", prefix="2+3=5\n") for j in range(4)]
            + [draw(P, j, verdict="wrong", prefix=WRONG_CHAIN.prefix(2)) for j in range(4)]
            + [draw(P, 0, verdict="correct", prefix=OPEN_CHAIN.text + "\n")]
            + [draw(P, 0, verdict="correct", sampling_id=OTHER.hash)]
        )
    opened = stepviz.open(url)
    yield opened
    opened.close()


def test_values_are_brought_to_every_chain_by_its_prefixes(notebook: Notebook):
    frame = notebook.values.query("sampling_id == @SAMPLING.hash").set_index(["chain_id", "step"])
    columns = ["k", "n", "unfinished", "value"]
    expected = {
        (RIGHT_CHAIN.id, 0): [2, 4, 1, 0.5],
        (RIGHT_CHAIN.id, 1): [3, 4, 0, 0.75],
        (RIGHT_CHAIN.id, 2): [1, 1, 0, 1.0],
        (RIGHT_CHAIN.id, 3): [0, 0, 0, 1.0],  # terminal: its last step states the right answer
        (WRONG_CHAIN.id, 0): [2, 4, 1, 0.5],
        (WRONG_CHAIN.id, 1): [3, 4, 0, 0.75],
        (WRONG_CHAIN.id, 2): [0, 4, 0, 0.0],
        (WRONG_CHAIN.id, 3): [0, 0, 0, 0.0],  # terminal, and wrong
        (OPEN_CHAIN.id, 0): [2, 4, 1, 0.5],
        (OPEN_CHAIN.id, 1): [3, 4, 0, 0.75],
        (OPEN_CHAIN.id, 2): [1, 1, 0, 1.0],  # continued after a separator, as the right chain's is
    }
    assert {key: list(row) for key, row in frame[columns].iterrows()} == expected
    assert not frame.index.duplicated().any()


def test_without_a_gold_answer_there_are_draws_and_no_values(notebook: Notebook):
    """4 draws of an ungraded question are no 0 of 4."""
    open_end = problem("How many roads?", answer=None, key="test/2")
    notebook.store.add_items([SourceItem(open_end, (chain(open_end),))])
    notebook.store.add_continuations([draw(open_end, j, verdict="unknown") for j in range(4)])
    assert open_end.id not in set(notebook.values.problem_id)
    assert P.id in set(notebook.values.problem_id)


def test_without_a_gold_answer_no_share_is_right(notebook: Notebook):
    """Two ungraded chains are no 0 of 2; where a person said that one is wrong, 0 of 2 it is."""
    open_end = problem("How many roads?", answer=None, key="test/2")
    chains = (chain(open_end, "a"), chain(open_end, "b"))
    notebook.store.add_items([SourceItem(open_end, chains)])

    def share() -> float:
        return notebook.problems.set_index("problem_id").share_correct[open_end.id]

    assert pd.isna(share())
    notebook.store.override_verdict(chains[0].id, "wrong", "not an answer", "ana")
    assert share() == 0.0


def test_intervals_are_wilsons(notebook: Notebook):
    frame = notebook.values.query("sampling_id == @SAMPLING.hash and chain_id == @WRONG_CHAIN.id").set_index("step")
    # Wilson's 95 % interval with z² = 3.8415: for 2 of 4, 0.5 ± 0.34996; for 0 of 4, [0, z²/(4 + z²)]
    assert frame.loc[0, ["low", "high"]].tolist() == pytest.approx([0.15004, 0.84996], abs=1e-5)
    assert frame.loc[2, ["low", "high"]].tolist() == pytest.approx([0.0, 3.8415 / 7.8415], abs=1e-4)
    assert frame.loc[3, ["low", "high"]].isna().all()
    assert frame["terminal"].isna().tolist() == [True, True, True, False]
    assert frame.loc[3, "terminal"] == "wrong"


def test_samplings_stand_apart(notebook: Notebook):
    frame = notebook.values
    other = frame[frame.sampling_id == OTHER.hash]
    assert sorted(zip(other.chain_id, other.step, strict=True)) == sorted(
        [(RIGHT_CHAIN.id, 0), (RIGHT_CHAIN.id, 3), (WRONG_CHAIN.id, 0), (WRONG_CHAIN.id, 3), (OPEN_CHAIN.id, 0)]
    )
    assert frame.dtypes.astype(str)[["step", "k", "n", "value", "low"]].tolist() == ["int64"] * 3 + ["float64"] * 2


def test_problems_chains_steps_annotations(notebook: Notebook):
    problems = notebook.problems
    assert problems.question.tolist() == [P.question, "\0 \ufffd?"]
    assert problems.n_chains.tolist() == [3, 0]
    assert problems.share_correct[0] == pytest.approx(1 / 3)
    assert pd.isna(problems.share_correct[1])

    chains = notebook.chains.set_index("chain_id")
    assert chains.loc[WRONG_CHAIN.id, ["text", "verdict", "number"]].tolist() == [WRONG_CHAIN.text, "wrong", 2]
    assert str(chains.created_at.dtype).endswith("UTC]")
    assert chains.disputed.dtype == bool

    steps = notebook.steps.query("chain_id == @WRONG_CHAIN.id")
    assert steps[["step", "kind", "text"]].values.tolist() == [
        [1, "step", "2+3=5"],
        [2, "step", "She gives 3 away."],
        [3, "answer", "A: 2"],
    ]

    labels = notebook.annotations
    assert labels[["annotator", "question", "step", "value"]].values.tolist() == [
        ["pb", "first_error", 0, 2],
        ["ana", "correct", 1, 0],
    ]


@pytest.mark.parametrize("view", ["v_problems", "v_chains", "v_steps", "v_values", "v_annotations"])
def test_the_manual_lists_every_column(notebook: Notebook, view: str):
    section = MANUAL.split(f"### {view}\n")[1].split("##")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(cells)) == notebook.sql(f"SELECT * FROM {view}").columns.tolist()


def test_the_manual_lists_every_table_and_every_column_of_values(notebook: Notebook):
    tables = MANUAL.split("## Tables\n")[1].split("##")[0]
    assert set(re.findall(r"^\| `(\w+)`", tables, re.MULTILINE)) == set(Base.metadata.tables)
    assert all(f"`{name}`" in MANUAL for name in notebook.values.columns)


def test_any_select_with_parameters(notebook: Notebook):
    frame = notebook.sql("SELECT count(*) AS n FROM v_steps WHERE chain_id = :id", {"id": OPEN_CHAIN.id})
    assert frame.n.tolist() == [2]


def test_frames_follow_the_store(notebook: Notebook):
    notebook.store.override_verdict(WRONG_CHAIN.id, "correct", "as asked", "ana")
    chains = notebook.chains.set_index("chain_id")
    assert chains.loc[WRONG_CHAIN.id, ["verdict", "graded", "overridden_by"]].tolist() == ["correct", "wrong", "ana"]
    last = notebook.values.query("chain_id == @WRONG_CHAIN.id and step == 3")
    assert set(last.value) == {1.0}


def test_an_empty_store_has_empty_frames_with_columns(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/empty.db"
    open_store(url).close()
    empty = stepviz.open(url)
    for name in ("problems", "chains", "steps", "values", "annotations"):
        frame = getattr(empty, name)
        assert len(frame) == 0
        assert {"chain_id", "problem_id"} & set(frame.columns)


def test_a_mistyped_name_is_no_empty_store(tmp_path: Path):
    with pytest.raises(StepvizError, match=r"no such store: .*mistyped\.db\. Check the name"):
        stepviz.open(f"sqlite:///{tmp_path}/mistyped.db")
    assert not list(tmp_path.iterdir())


def test_steps_view_cuts_where_python_cuts(tmp_path: Path):
    p = problem()
    hostile = chain(p, text="½ 😀 \0 = 1\n\ud800 é\nA: \U0010f000")
    url = new_url(tmp_path)
    with open_store(url) as store:
        store.add_items([SourceItem(p, (hostile,))], {hostile.id: Verdict("unknown", "", "stepviz/1")})
    assert stepviz.open(url).steps.text.tolist()[:2] == [
        "½ 😀 \0 = 1",
        "\ufffd é",  # pandas has no half of a surrogate pair
    ]
