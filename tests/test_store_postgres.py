"""What only a server with many writers at once can get wrong: `make test-postgres` runs this."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, text, update

from db.models import ProblemTable, RunTable, StudyItemTable
from db.rows import problem_row, table
from db.session import make_engine, store_url
from db.store import Store, open_store
from db.studies import Late
from db.values import ModelRow
from stepviz.errors import StepvizError
from stepviz.types import Annotation, SourceItem, Verdict
from tests.store_cases import RIGHT, SAMPLING, SERVER, WRONG, chain, draw, item, new_url, problem
from tests.study_cases import made

pytestmark = pytest.mark.skipif(SERVER is None, reason="is about PostgreSQL: make test-postgres")
SLOW_S = 0.5  # for a thread to come to the lock that it waits at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("embedded/student", spec="embedded:student"))
        opened.add_sampling(SAMPLING)
        yield opened


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each gives; the first failure is raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(call) for call in calls]]


def test_these_stores_are_on_a_server(store: Store) -> None:
    assert store.engine.dialect.name == "postgresql"


def test_whoever_writes_beside_it_a_writer_counts_its_own_draws(store: Store) -> None:
    p = problem()
    store.add_items([SourceItem(p)])

    def write(me: int) -> int:
        return sum(store.add_continuations([draw(p, j), draw(p, 1000 + 100 * me + j)]) for j in range(40))

    counts = at_once(*(lambda me=me: write(me) for me in range(6)))
    assert sum(counts) == store.stats()["rollouts"] == 40 + 6 * 40  # 40 that all of them brought, 40 of each one's own


def test_the_stamp_tells_of_a_row_that_was_numbered_early_and_came_late(store: Store) -> None:
    slow, quick = problem("slow?"), item(1)
    with store.writing() as connection:
        connection.execute(table(ProblemTable).insert().values(problem_row(slow)))
        store.add_items([quick])
        before = store.stamp()
    assert store.stats()["problems"] == 2
    assert store.stamp() != before


def test_an_import_whose_labels_are_of_other_problems_blocks_nobody(store: Store) -> None:
    """The import needs the last problem, and the first for a label; who grades all three again has the first, and
    needs the last. Taken in the order of their ids the one waits for the other; taken as they come, each for each."""
    first, middle, last = sorted((item(n) for n in range(3)), key=lambda i: i.problem.id)
    store.add_items([first, middle, last])
    verdicts = {thing.chains[0].id: RIGHT for thing in (first, middle, last)}
    label = Annotation(first.chains[0].id, "ana", "correct", 1, 1, key="1")
    labelled = SourceItem(last.problem, last.chains, (label,))
    held, go = threading.Event(), threading.Event()

    def hold_the_middle() -> None:
        with store.writing() as connection:
            connection.execute(
                select(ProblemTable.id).where(ProblemTable.id == middle.problem.id).with_for_update()
            ).all()
            held.set()
            go.wait(60)

    def grade() -> None:
        held.wait(60)
        store.set_verdicts(verdicts)

    def bring() -> object:
        held.wait(60)
        time.sleep(SLOW_S)
        threading.Timer(SLOW_S, go.set).start()
        return store.add_items([labelled])

    *_, counts = at_once(hold_the_middle, grade, bring)
    assert counts.annotations_new == 1
    assert [store.chain(id_).verdict for id_ in verdicts] == [RIGHT] * 3


def test_a_cancel_sees_who_claimed_the_run_a_moment_ago(store: Store) -> None:
    """Not one that is "cancelled" while a worker has just begun it."""
    run = store.add_run("sample", {})
    r, cancel = table(RunTable), threading.Thread(target=lambda: store.request_cancel(run))
    with store.writing() as connection:
        claimed = {"state": "running", "worker": "w", "lease_until": store.run(run).created_at.replace(year=9999)}
        connection.execute(update(r).where(r.c.id == run).values(**claimed))
        cancel.start()
        time.sleep(SLOW_S)
    cancel.join(60)
    assert (store.run(run).state, store.run(run).cancel_requested) == ("running", True)


def test_a_user_without_rights_and_a_name_that_is_not_there_are_told(tmp_path: Path) -> None:
    url = store_url(new_url(tmp_path))
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS guest"))
        connection.execute(text("CREATE ROLE guest LOGIN PASSWORD 'secret'"))
    engine.dispose()
    guest = url.set(username="guest", password="secret")
    with pytest.raises(StepvizError, match=r"permission denied for schema public\. Its user has to own it") as told:
        open_store(guest.render_as_string(hide_password=False))
    assert "secret" not in str(told.value)
    with pytest.raises(StepvizError, match='database "nowhere" does not exist'):
        open_store(url.set(database="nowhere").render_as_string(hide_password=False))


def test_a_server_that_was_restarted_is_found_again(store: Store) -> None:
    store.add_items([item(1)])
    with store.writing() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert store.stats()["problems"] == 1
    assert store.add_items([item(2)]).problems_new == 1


def test_many_annotators_at_once_and_every_cache_agrees(store: Store) -> None:
    """Twenty people on the same problems, and imports that grade the same chains: as one after the other."""
    things = [item(n) for n in range(4)]
    store.add_items(things)
    chains = [c for thing in things for c in thing.chains]

    def label(who: int) -> None:
        for c in chains[who % 2 :: 2]:
            store.override_verdict(c.id, "wrong", "not so", f"person {who}")
            if who >= 2:
                store.withdraw_verdict(c.id, f"person {who}")

    def grade(verdict: Verdict) -> None:
        for _ in range(5):
            store.set_verdicts({c.id: verdict for c in chains})

    at_once(*(lambda who=who: label(who) for who in range(20)), lambda: grade(RIGHT), lambda: grade(WRONG))
    store.set_verdicts({c.id: RIGHT for c in chains})
    for thing in things:  # persons 0 and 1 stand, each on one of a problem's two chains
        row = store.problem(thing.problem.id)
        assert (row.n_chains, row.n_correct, row.n_disputed) == (2, 0, 2)
        assert {store.chain(c.id).verdict.grader for c in thing.chains} == {"person:person 0", "person:person 1"}


def test_an_item_that_somebody_holds_for_a_moment_is_not_gone(store: Store) -> None:
    """Two people are wanted for the one item: who asks while the other takes it is not told that it is gone."""
    thing = item(1)
    store.add_items([thing])
    study = made(store, [thing.chains[0].id], people=2)
    held = threading.Event()

    def hold() -> None:
        with store.writing() as connection:
            connection.execute(select(StudyItemTable.id).with_for_update()).all()
            held.set()
            time.sleep(0.2)

    def ask() -> object:
        held.wait(60)
        return store.next_slot(study, "bob", 2, 60, lambda _: "blind")

    _, slot = at_once(hold, ask)
    assert slot is not None


def test_leases_that_run_out_while_many_ask_block_nobody(store: Store) -> None:
    """Who asks releases what is late, of others and of their own: in one order, or two would wait for each other."""
    thing = item(1)
    chains = [chain(thing.problem, f"late {i}") for i in range(12)]
    store.add_items([replace(thing, chains=tuple(chains))])
    study = made(store, [c.id for c in chains], people=2)
    until = time.monotonic() + 4

    def person(name: str) -> None:
        rng = Random(name)
        while time.monotonic() < until:
            slot = store.next_slot(study, name, 2, rng.choice((0.001, 0.001, 5.0)), lambda _: "blind")
            if slot is not None and rng.random() < 0.5:
                with suppress(Late):
                    store.release_slot(slot.id, name)

    at_once(*(lambda i=i: person(f"person {i}") for i in range(16)))
    held = Counter(slot.item_id for slot in store.slots(study) if slot.state == "open")
    with store.reading() as connection:
        rows = connection.execute(select(StudyItemTable.id, StudyItemTable.taken)).all()
    assert {id_: taken for id_, taken in rows if taken} == held
    assert max(taken for _, taken in rows) <= 2
