"""The job `compare`: what is missing is drawn once, with progress, and after a cancel or a kill it goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from db.values import ModelRow
from stepviz import compare_job, job_kinds, jobs
from stepviz.compare import pits
from stepviz.compare_draws import compared, known_as
from stepviz.compare_spec import settings_of
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.types import Problem, Sampling, SourceItem
from tests import compare_cases as cases
from tests.compare_cases import AFTER, BEFORE, Students, model_id
from tests.job_cases import wait_for

SPEC = {"before": BEFORE, "after": AFTER, "source": "sums", "split": "dev", "k": 4}
# of each model and problem: the greedy chain, and 4 continuations of the question and of the first step
DRAWS = 2 * 3 * (1 + 4 + 4)


def found(students: Students, **spec: object):
    return compared(students.store, settings_of(SPEC | spec), Sampling())


def test_both_models_are_drawn_at_the_same_problems_and_once(students: Students) -> None:
    before = found(students)
    assert (before.pairs, before.problems, before.ungraded) == ((), 3, 1)
    assert before.models == ("", "")
    run = students.compare()
    assert (run.state, run.error) == ("done", None)
    assert (run.progress["done"], run.progress["total"]) == (DRAWS, DRAWS)
    assert run.progress["models"] == {"before": model_id(BEFORE), "after": model_id(AFTER)}
    by_model = Counter(model for model, _ in students.seen)
    assert by_model == {model_id(BEFORE): DRAWS // 2, model_id(AFTER): DRAWS // 2}
    # the same question, prefix and j of two models have seeds of their own; the greedy ones come first
    assert len({request.question for _, request in students.seen}) == 3
    again = students.compare()
    assert (again.state, len(students.seen)) == ("done", DRAWS)
    assert found(students).missing.draws == 0


def test_what_comes_of_it(students: Students) -> None:
    students.compare()
    result = found(students)
    assert result.models == (model_id(BEFORE), model_id(AFTER))
    assert [(p.place, p.before.verdict, p.after.verdict) for p in result.pairs] == [
        ("sums dev 3", "wrong", "correct"),
        ("sums dev 4", "wrong", "correct"),
        ("sums dev 5", "wrong", "wrong"),
    ]
    assert [v.value for v in result.pairs[0].before.values][1:] == [0, 0]
    assert [v.value for v in result.pairs[0].after.values][1:] == [1, 1]
    assert [p.pit_class("self-explore") for p in result.pairs] == ["vanished", "vanished", "still"]
    assert pits(result.pairs, "glore")["vanished"] == 2
    assert result.pairs[2].after.pits["self-explore"].evidence == "0/4"
    chain = students.store.chain(result.pairs[0].after.chain)
    assert chain is not None
    assert chain.chain.text.startswith("3+12=15")


def test_more_problems_and_samples_draw_only_what_they_add(students: Students) -> None:
    students.compare(limit=1)
    had = len(students.seen)
    assert had == DRAWS // 3
    students.compare(samples=6)
    # of each model: the greedy chains of two more problems, 6 draws of each of 3 questions, of which the first problem
    # has 4 already, as part of its measured V[0]; then 4 of the first step of the two
    assert len(students.seen) - had == 2 * (2 + 6 + 6 + 2 + 2 * 4)
    assert [len(p.before.samples) for p in found(students, samples=6).pairs] == [6, 6, 6]


def test_a_measurement_of_before_is_not_drawn_again(students: Students) -> None:
    ids = [p.id for p in cases.PROBLEMS]
    greedy = Sampling(temperature=0.0)
    jobs.start(students.store, "sample", {"problems": ids, "n": 1, "engine": AFTER, "sampling": greedy}, worker=False)
    students.work()
    assert found(students).lacking[1].chains == 0
    students.compare()
    assert Counter(model for model, _ in students.seen)[model_id(AFTER)] == DRAWS // 2


def test_nothing_is_measured_where_nothing_is_asked(students: Students) -> None:
    run = students.compare(k=0)
    assert run.progress["done"] == 6
    pair = found(students, k=0).pairs[0]
    assert (pair.before.values, pair.before.verdict) == ((), "wrong")


def test_after_a_cancel_it_goes_on_where_it_was(students: Students) -> None:
    run = students.start()
    cancelled: list[int] = []

    def cancel(n: int) -> None:
        if n >= 8 and not cancelled:
            cancelled.append(n)
            students.store.request_cancel(run)
            wait_for(lambda: students.store.run(run).state == "cancelled")  # the heartbeat's thread hears of it

    students.after = cancel
    students.work()
    assert students.store.run(run).state == "cancelled"
    had = len(students.seen)
    assert had < DRAWS
    stored = students.store.stats()["rollouts"]
    assert stored >= cancelled[0]
    students.after = lambda n: None
    jobs.resume(students.store, run, worker=False)
    students.work()
    row = students.store.run(run)
    assert row.state == "done"
    assert students.store.stats()["rollouts"] == DRAWS
    assert len(students.seen) <= DRAWS + (had - stored)  # what had been drawn and stored was not drawn again
    assert row.progress["done"] == row.progress["total"] == DRAWS - stored


def test_after_a_kill_it_goes_on_where_it_was(students: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Nothing in the worker catches it, as nothing catches a SIGKILL."""

    def kill(n: int) -> None:
        if n >= 12:
            raise Killed

    monkeypatch.setattr("stepviz.worker.LEASE_S", 0.05)
    run = students.start()
    students.after = kill
    with pytest.raises(Killed):
        students.work()
    stored = students.store.stats()["rollouts"]
    assert 0 < stored < DRAWS
    wait_for(lambda: students.store.run(run).state == "interrupted")
    monkeypatch.setattr("stepviz.worker.LEASE_S", 15.0)
    students.after = lambda n: None
    jobs.resume(students.store, run, worker=False)
    students.work()
    assert students.store.run(run).state == "done"
    assert students.store.stats()["rollouts"] == DRAWS
    assert found(students).missing.draws == 0


def test_progress_is_of_the_whole_and_names_the_part(students: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []
    run = students.start()
    parts: list[Job] = []
    monkeypatch.setattr(
        "stepviz.worker.JOBS", {"compare": lambda job: (parts.append(job), compare_job.compare(job, job_kinds.score))}
    )
    students.after = lambda n: told.append(dict(parts[0].progress))
    students.work()
    assert "greedy chains of embedded/base" not in [t["note"] for t in told]  # a batch is four draws
    assert list(dict.fromkeys(t["note"] for t in told)) == [
        "V along the chains of embedded/base",
        "V along the chains of embedded/student",
    ]
    far = [t["done"] for t in told]
    assert far == sorted(far)
    assert told[0]["total"] >= DRAWS  # five steps a chain are guessed before the chains are there
    row = students.store.run(run)
    assert (row.progress["done"], row.progress["total"], row.progress["note"]) == (DRAWS, DRAWS, "")


def test_a_problem_that_a_model_cannot_read_is_named_and_the_others_come_through(students: Students) -> None:
    long = Problem("Tom has 7 apples, too long to read.", "19", source="sums", key="sums/dev/7", split="dev")
    students.store.add_items([SourceItem(long)])
    run = students.compare()
    assert run.state == "done"
    assert "1 of the prefixes could not be continued: the prompt has 201 tokens" in run.progress["note"]
    result = found(students)
    assert (len(result.pairs), result.problems) == (3, 4)


# ---- what cannot be compared


@pytest.mark.parametrize(
    "spec, said",
    [
        ({"after": "embedded:nobody"}, "no embedded model 'nobody'; there are:"),
        ({"after": "./nowhere"}, "there is no model './nowhere'"),
        ({"before": "embedded:student"}, "before and after are the same model"),
        ({"before": ""}, "choose the model before"),
        ({"limit": 0}, "the number of problems is a whole number from 1"),
        ({"k": "many"}, "the number of continuations a step is a whole number from 0"),
        ({"samples": 9999}, "the number of samples is a whole number from 1 to 1,024"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(students: Students, spec: dict[str, object], said: str) -> None:
    with pytest.raises(StepvizError, match=said.replace("(", r"\(")):
        students.start(**spec)
    assert students.store.runs() == []


def test_a_student_and_a_scorer_are_not_compared(students: Students, tmp_path: Path) -> None:
    scorer = cases.scorer_files(tmp_path / "orm")
    with pytest.raises(StepvizError, match="one of them writes chains and the other scores steps"):
        students.start(after=f"hf:{scorer}")


def test_a_folder_that_is_no_checkpoint(students: Students, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StepvizError, match="is no checkpoint: it has no readable config"):
        students.start(after=str(tmp_path / "empty"))


def test_problems_without_a_gold_answer_cannot_be_compared(students: Students) -> None:
    students.store.add_items([SourceItem(Problem("Why?", None, source="riddles"))])
    run = students.compare(source="riddles", split="")
    assert run.state == "failed"
    assert "none of these problems has a gold answer" in str(run.error)


def test_new_weights_in_the_same_folder_are_a_new_model(students: Students) -> None:
    students.compare(limit=1)
    assert known_as(students.store, AFTER) == model_id(AFTER)
    students.store.add_model(ModelRow("embedded/student@000000000000", "generator", AFTER))
    assert known_as(students.store, AFTER) == model_id(AFTER)  # what lies there now, whoever came last
