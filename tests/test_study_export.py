"""A study's labels as PRM800K's rows, ProcessBench's, JSONL and Parquet: worked by hand, and read back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from db.study_values import StudyRow
from db.values import ChainFilter
from stepviz import exporting
from stepviz.cli import app
from stepviz.errors import StepvizError
from stepviz.importing import import_path
from stepviz.sources.rows import rows as read_rows
from stepviz.study_export import FORMATS, SUFFIX, Exported, export
from stepviz.types import Annotation, SourceItem
from tests.store_cases import RIGHT, WRONG, chain, new_url, problem
from tests.study_cases import labelled, made, settled, taken
from tests.test_sources import OPENAI_ROW

HOSTILE = "=cmd|'/C calc'!A0 <script>alert(1)</script>\n\"}\x00 \ud800"
STEPS = ["2+3=5", "She has 5.", "A: 5"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    """Four chains of three steps: a right, b wrong, c and g unjudged."""
    of = problem()
    chains = {key: chain(of, key) for key in "abcg"}
    store.add_items([SourceItem(of, tuple(chains.values()))], {chains["a"].id: RIGHT, chains["b"].id: WRONG})
    return {key: one.id for key, one in chains.items()}


@pytest.fixture
def study(store: Store, ids: dict[str, str]) -> StudyRow:
    """Ana and ben: a in conflict, b alike as far as ben says, c given up and called bad; g is gold; bob has one open.

    a  ana +1 0 −1          ben +1 −1
    b  ana +1 ? −1          ben +1 +1 −1
    c  ana nothing, a bad problem; ben nothing, given up
    g  ana +1 +1 +1
    """
    id_ = made(store, [ids[key] for key in "abcg"], gold=[ids["g"]])
    labelled(store, id_, "ana", {1: 1, 2: 0, 3: -1}, finish="found_error", note=HOSTILE)
    labelled(store, id_, "ana", {1: 1, 2: None, 3: -1}, finish="found_error")
    labelled(store, id_, "ana", {}, finish="solution", flags=["bad_problem"])
    labelled(store, id_, "ana", {1: 1, 2: 1, 3: 1}, seconds=3.0)
    labelled(store, id_, "ben", {1: 1, 2: -1}, finish="found_error")
    labelled(store, id_, "ben", {1: 1, 2: 1, 3: -1}, finish="found_error")
    labelled(store, id_, "ben", {}, finish="give_up")
    taken(store, id_, "bob")
    return row_of(store, id_)


def row_of(store: Store, id_: int) -> StudyRow:
    found = store.study(id_)
    assert found is not None
    return found


def written(
    store: Store, study: StudyRow, format: str, folder: Path, **options: bool
) -> tuple[list[dict[str, Any]], Exported]:
    out = folder / f"out{SUFFIX[format]}"
    out.unlink(missing_ok=True)
    done = export(store, study, format, out, **options)
    found = pq.read_table(out).to_pylist() if format == "parquet" else [json.loads(x) for x in out.open("rb")]
    assert len(found) == done.rows
    return found, done


# ---- PRM800K


def completion(text: str, rating: int | None, chosen: int | None = 0, flagged: bool = False) -> dict[str, Any]:
    one = {"text": text, "rating": rating, "flagged": flagged}
    return {"completions": [one], "human_completion": None, "chosen_completion": chosen}


def test_a_row_of_prm800k_for_each_submitted_turn(store: Store, study: StudyRow, tmp_path: Path):
    found, done = written(store, study, "prm800k", tmp_path)
    assert done.left_out == {"a turn that is not submitted": 1}
    assert [(row["labeler"], row["is_quality_control_question"]) for row in found] == [
        ("ana", False), ("ben", False), ("ana", False), ("ben", False), ("ana", False), ("ben", False), ("ana", True),
    ]  # fmt: skip
    row = found[0]
    uuid.UUID(row.pop("id"))
    datetime.fromisoformat(row.pop("timestamp"))
    assert row == {
        "labeler": "ana",
        "generation": None,
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {
            "problem": "Ana has 2 pens and buys 3. How many?",
            "ground_truth_solution": None,
            "ground_truth_answer": "5",
            "pre_generated_steps": STEPS,
            "pre_generated_answer": "5",
            "pre_generated_verifier_score": None,
        },
        "label": {
            "steps": [completion("2+3=5", 1), completion("She has 5.", 0), completion("A: 5", -1, chosen=None)],
            "total_time": 12500,
            "finish_reason": "found_error",
        },
    }
    assert [x["label"]["steps"][-1]["chosen_completion"] if x["label"]["steps"] else "-" for x in found] == [
        None, None, None, None, "-", "-", 0,
    ]  # fmt: skip
    assert found[2]["label"]["steps"][1] == completion("She has 5.", None, flagged=True)
    assert [x["label"]["finish_reason"] for x in found[4:]] == ["bad_problem", "give_up", "solution"]
    assert found[6]["label"]["total_time"] == 3000


def test_what_was_taken_back_is_not_there(store: Store, ids: dict[str, str], tmp_path: Path):
    id_ = made(store, [ids["a"]])
    slot = taken(store, id_, "ana")
    for step, value in ((1, 1), (2, -1)):
        store.label_in_slot(slot.id, "ana", [Annotation(slot.chain_id, "ana", "correct", step, value)], 60)
    store.undo_in_slot(slot.id, "ana", 60)
    store.end_slot(slot.id, "ana", finish="give_up", seconds=2)
    for format in ("prm800k", "jsonl"):
        (row,), _ = written(store, row_of(store, id_), format, tmp_path)
        said = row["label"]["steps"] if format == "prm800k" else row["labels"]
        assert len(said) == 1, format


def test_prm800k_rows_are_read_again_with_the_same_labels(store: Store, study: StudyRow, tmp_path: Path):
    found, _ = written(store, study, "prm800k", tmp_path)
    with open_store(f"sqlite:///{tmp_path}/fresh.db") as fresh:
        report = import_path(fresh, "auto", tmp_path / "out.prm800k.jsonl")
        assert (report.format, report.refused, report.chains) == ("prm800k", [], 7)
        assert list(exporting.export_prm800k(fresh)) == found
        chains = [row.chain for row in fresh.chains_of(ChainFilter())]
        assert {one.steps for one in chains} == {tuple(STEPS)}
        said = [
            (a.annotator.removeprefix("prm800k/"), a.question, a.step, a.value)
            for one in chains
            for a in (row.annotation for row in fresh.annotations(one.id))
        ]
    assert said == [(row["person"], x["question"], x["step"], x["value"])
                    for row in written(store, study, "jsonl", tmp_path)[0] for x in row["labels"]]  # fmt: skip
    assert len(said) == 3 + 2 + 3 + 3 + 3


def test_names_that_begin_alike_stay_apart_when_they_are_read_again(store: Store, ids: dict[str, str], tmp_path: Path):
    id_ = made(store, [ids["a"]])
    for who in ("annabella", "annabellino"):
        labelled(store, id_, who, {1: 1})
    written(store, row_of(store, id_), "prm800k", tmp_path)
    with open_store(f"sqlite:///{tmp_path}/fresh.db") as fresh:
        import_path(fresh, "prm800k", tmp_path / "out.prm800k.jsonl")
        assert fresh.annotators() == ["prm800k/annabella", "prm800k/annabellino"]


def test_a_chain_of_prm800k_keeps_its_borders_and_its_questions_fields(store: Store, tmp_path: Path):
    """Phase 2, three steps of which PRM800K's labeller saw two: here all are rated, in the same words."""
    (tmp_path / "phase2_train.jsonl").write_text(json.dumps(OPENAI_ROW) + "\n", encoding="utf-8")
    import_path(store, "prm800k", tmp_path / "phase2_train.jsonl")
    trunk = next(store.chains_of(ChainFilter(origin="prm800k/chosen"))).chain
    branch = next(store.chains_of(ChainFilter(origin="prm800k/alternative"))).chain
    id_ = made(store, [trunk.id, branch.id])
    labelled(store, id_, "ana", {1: 1, 2: -1}, finish="found_error")
    labelled(store, id_, "ana", {1: 1, 2: 1})
    (first, second), _ = written(store, row_of(store, id_), "prm800k", tmp_path)
    assert first["question"] == OPENAI_ROW["question"]
    assert [s["completions"][0]["text"] for s in first["label"]["steps"]] == ["Seven is odd.", "$7 \\cdot 6 = 36$."]
    steps = ["Seven is odd.", "$7 \\cdot 6 = 42$."]
    assert second["question"] == {**OPENAI_ROW["question"], "pre_generated_steps": steps}
    assert list(exporting.export_prm800k(store)) == [OPENAI_ROW]


def test_what_was_settled_is_a_row_by_the_study(store: Store, study: StudyRow, ids: dict[str, str], tmp_path: Path):
    settled(store, study.id, ids["a"], {1: 1, 2: 1, 3: -1})
    row = written(store, study, "prm800k", tmp_path)[0][2]
    assert (row["labeler"], row["label"]["finish_reason"], row["label"]["total_time"]) == (
        "adjudicated:first", "found_error", None,
    )  # fmt: skip
    assert [step["completions"][0]["rating"] for step in row["label"]["steps"]] == [1, 1, -1]


# ---- ProcessBench


def test_one_first_error_an_item_or_none(store: Store, study: StudyRow, ids: dict[str, str], tmp_path: Path):
    """a: 3 against 2. b: ana is unsure of step 2, ben says 3. c: one calls it bad, one gave up. g: none is wrong."""
    found, done = written(store, study, "processbench", tmp_path)
    known = {"generator": "human", "problem": problem().question, "steps": STEPS}
    assert found == [
        {"id": ids["b"], **known, "final_answer_correct": False, "label": 2},
        {"id": ids["g"], **known, "final_answer_correct": None, "label": -1, "gold": True},
    ]
    assert done.left_out == {
        "an item on which people disagree where it goes wrong first": 1,
        "an item of which nobody rated every step up to the first wrong one": 1,
    }
    settled(store, study.id, ids["a"], {1: 1, 2: 1, 3: -1})
    found, _ = written(store, study, "processbench", tmp_path)
    assert [(row["id"], row["label"]) for row in found] == [(ids["a"], 2), (ids["b"], 2), (ids["g"], -1)]


def test_a_settled_step_stands_with_what_all_say_of_the_others(
    store: Store, study: StudyRow, ids: dict[str, str], tmp_path: Path
):
    """Of a only step 2 is settled, as right: all call step 1 right, and step 3 ana alone rates, as wrong."""
    settled(store, study.id, ids["a"], {2: 0})
    found, _ = written(store, study, "processbench", tmp_path)
    assert (found[0]["id"], found[0]["label"]) == (ids["a"], 2)
    settled(store, study.id, ids["a"], {1: 1, 2: None, 3: -1})  # unsure of the step before: nobody knows
    assert written(store, study, "processbench", tmp_path)[0][0]["id"] == ids["b"]
    settled(store, study.id, ids["a"], {2: None})  # a settlement that says nothing: the conflict stands
    assert written(store, study, "processbench", tmp_path)[0][0]["id"] == ids["b"]


def test_processbench_rows_are_read_again(store: Store, study: StudyRow, tmp_path: Path):
    found, _ = written(store, study, "processbench", tmp_path)
    with open_store(f"sqlite:///{tmp_path}/fresh.db") as fresh:
        report = import_path(fresh, "auto", tmp_path / "out.processbench.jsonl")
        assert (report.format, report.refused, report.chains_new) == ("processbench", [], 2)
        assert list(exporting.export_processbench(fresh)) == found


def test_processbenchs_own_chains_go_out_as_they_came(store: Store, shared_data: Path, tmp_path: Path):
    """Forty real rows, labelled anew by one person as the file has them: a first error, or every step right."""
    raw = [row.fields for row in read_rows(shared_data / "processbench/gsm8k.json")][:40]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in raw), encoding="utf-8")
    import_path(store, "processbench", tmp_path / "some.jsonl")
    chains = [row.chain for row in store.chains_of(ChainFilter())]
    id_ = made(store, [one.id for one in chains])
    for one, row in zip(chains, raw, strict=True):
        wrong = row["label"] + 1
        labelled(store, id_, "ana", {i: -1 if i == wrong else 1 for i in range(1, (wrong or one.n) + 1)})
    found, _ = written(store, row_of(store, id_), "processbench", tmp_path)
    assert [json.dumps(row) for row in found] == [json.dumps(row) for row in raw]


# ---- everything


def test_everything_as_jsonl(store: Store, study: StudyRow, ids: dict[str, str], tmp_path: Path):
    settled(store, study.id, ids["a"], {1: 1, 2: 1, 3: -1})
    found, done = written(store, study, "jsonl", tmp_path)
    assert done.left_out == {}
    assert [(row["item"], row["person"], row["state"]) for row in found] == [
        (1, "ana", "submitted"), (1, "ben", "submitted"), (1, "bob", "open"), (1, "adjudicated:first", "adjudicated"),
        (2, "ana", "submitted"), (2, "ben", "submitted"), (3, "ana", "submitted"), (3, "ben", "submitted"),
        (4, "ana", "submitted"),
    ]  # fmt: skip
    row = found[0]
    for moment in (row.pop("opened_at"), row.pop("ended_at"), *(label.pop("at") for label in row["labels"])):
        assert datetime.fromisoformat(moment).utcoffset() is not None
    assert row == {
        "study": "first", "item": 1, "gold": False, "chain": ids["a"], "origin": "human", "problem": problem().id,
        "source": "gsm8k", "split": "test", "problem_text": problem().question, "steps": STEPS, "person": "ana",
        "state": "submitted", "arm": "blind", "guideline": 1, "seconds": 12.5, "finish": "found_error", "flags": [],
        "note": HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd"),
        "labels": [
            {"question": "correct", "step": i, "value": value, "note": ""} for i, value in ((1, 1), (2, 0), (3, -1))
        ],
    }  # fmt: skip
    assert (found[6]["flags"], found[6]["labels"], found[8]["gold"]) == (["bad_problem"], [], True)


def test_parquet_has_a_row_a_label(store: Store, study: StudyRow, tmp_path: Path):
    turns, _ = written(store, study, "jsonl", tmp_path)
    found, _ = written(store, study, "parquet", tmp_path)
    flat = [
        (t["item"], t["person"], x["step"], x["value"])
        for t in turns
        for x in t["labels"] or [{"step": None, "value": None}]
    ]
    assert [(row["item"], row["person"], row["step"], row["value"]) for row in found] == flat
    assert (found[1]["step_text"], found[1]["question"], found[1]["seconds"]) == ("She has 5.", "correct", 12.5)
    assert found[0]["opened_at"].tzinfo is not None
    assert {row["flags"] for row in found} == {"", "bad_problem"}


def test_a_deciding_step_is_named_by_its_value(store: Store, ids: dict[str, str], tmp_path: Path):
    id_ = made(store, [ids["a"]], questions=("decides",))
    labelled(store, id_, "ana", {0: 2}, question="decides")
    (row,), _ = written(store, row_of(store, id_), "parquet", tmp_path)
    assert (row["question"], row["step"], row["value"], row["step_text"]) == ("decides", 0, 2, "She has 5.")
    for format in ("prm800k", "processbench"):
        with pytest.raises(StepvizError, match="does not ask that: take jsonl or parquet"):
            export(store, row_of(store, id_), format, tmp_path / "x")


@pytest.mark.parametrize("format", FORMATS)
def test_without_names(store: Store, ids: dict[str, str], tmp_path: Path, format: str):
    id_ = made(store, [ids["a"], ids["b"]])
    for who in ("Zoltan", "Quetzal", "Zoltan"):
        labelled(store, id_, who, {1: 1, 2: 1, 3: 1})
    study = row_of(store, id_)
    found, _ = written(store, study, format, tmp_path, anonymous=True)
    content = (tmp_path / f"out{SUFFIX[format]}").read_bytes()
    assert b"Zoltan" not in content
    assert b"Quetzal" not in content
    names = [row.get("labeler") or row.get("person") for row in found]
    if format == "prm800k":
        assert names[0] == names[2] != names[1]  # a, a, b: the first one's, the second one's, the first one's
        assert all(str(uuid.UUID(name)) == name for name in names)
        assert [r["labeler"] for r in written(store, study, format, tmp_path, anonymous=True)[0]] == names
    elif format != "processbench":
        assert set(names) == {"person-1", "person-2"}


def test_nothing_to_write_is_said_with_its_reason(store: Store, ids: dict[str, str], tmp_path: Path):
    id_ = made(store, [ids["a"]])
    with pytest.raises(StepvizError, match="gives no row: nobody has labelled"):
        export(store, row_of(store, id_), "jsonl", tmp_path / "x.jsonl")
    taken(store, id_, "ana")
    with pytest.raises(StepvizError, match="gives no row: 1 × a turn that is not submitted"):
        export(store, row_of(store, id_), "processbench", tmp_path / "x.jsonl")
    assert list(tmp_path.glob("x*")) == []
    with pytest.raises(StepvizError, match="no format 'csv'; there are: prm800k"):
        export(store, row_of(store, id_), "csv", tmp_path / "x.csv")


# ---- from a shell


def shell(store: Store, *words: str) -> Any:
    return CliRunner().invoke(app, ["study", "export", *words, "--db", store.url])


def test_from_a_shell(store: Store, study: StudyRow, tmp_path: Path):
    out = tmp_path / "labels.jsonl"
    done = shell(store, "first", "--format", "processbench", "--out", str(out))
    assert done.stdout.splitlines() == [
        f"2 rows written to {out}",
        "left out: 1 × an item on which people disagree where it goes wrong first",
        "left out: 1 × an item of which nobody rated every step up to the first wrong one",
    ]
    again = shell(store, "first", "--out", str(out))
    assert (again.exit_code, "is there already" in str(again.exception)) == (1, True)
    told = json.loads(shell(store, "first", "--out", str(tmp_path / "b.jsonl"), "--anonymous", "--json").stdout)
    assert (told["rows"], told["left_out"], told["format"]) == (8, {}, "jsonl")
    assert "there is no study 'second'" in str(shell(store, "second", "--out", "x").exception)
