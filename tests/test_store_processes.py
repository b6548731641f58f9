"""The store under several processes: killed in the middle, written from two sides, opened at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from db.store import Store, open_store
from stepviz.types import Annotation
from tests.store_cases import item, new_url

ROOT = Path(__file__).parents[1]
N_ITEMS, BATCH = 400, 10

IMPORT = """
import sys
from db.store import open_store
from tests.store_cases import new_url, item
url, n, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("open", flush=True)
store = open_store(url)
for start in range(0, n, batch):
    store.add_items([item(i) for i in range(start, start + batch)])
"""

CLAIM = """
import sys
from db.store import open_store
store = open_store(sys.argv[1])
while run := store.claim_run(sys.argv[2]):
    print(run.id)
"""

WRITE = """
import sys
from db.store import open_store
from db.values import ModelRow
from stepviz.types import Annotation, SourceItem
from tests.store_cases import new_url, SAMPLING, draw, item
url, me, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url)
order = 1 if me.endswith("0") else -1  # two imports of the same rows, from either end of each batch
store.add_model(ModelRow("embedded/student"))
store.add_sampling(SAMPLING)
run = store.add_run("sample", {"by": me})
for n in range(times):
    things = [item(i) for i in range(5 * n, 5 * n + 5)][::order]
    store.add_items(things)
    thing = item(5 * n)
    store.add_continuations([draw(thing.problem, j, model_id="embedded/student") for j in range(4)])
    store.add_annotation(Annotation(thing.chains[0].id, me, "correct", 1, 1))
    store.heartbeat(run, me, {"done": n})
"""


def _start(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def _output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out


def _assert_whole(store: Store) -> int:
    """Only whole items, whole batches; caches that agree with what they summarise. Gives the number of items."""
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall() == []
    problems = store.problems(limit=10 * N_ITEMS)
    for row in problems:
        number = int(row.sources[0].key.split("/")[1])
        assert row.problem == item(number).problem
        assert row.n_chains == 2
        assert tuple(c.chain for c in store.chains(row.id)) == item(number).chains
    return len(problems)


def test_an_import_killed_at_any_moment_goes_on_to_the_complete_set(tmp_path: Path):
    url, rnd = new_url(tmp_path), random.Random(7)
    left_unfinished = 0
    for _ in range(6):
        process = _start(IMPORT, url, N_ITEMS, BATCH)
        assert process.stdout.readline() == "open\n"
        time.sleep(rnd.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with open_store(url) as store:
            found = _assert_whole(store)
        assert found % BATCH == 0
        left_unfinished += found < N_ITEMS
    assert left_unfinished, "every import was through before it was killed: this showed nothing"
    assert _output(_start(IMPORT, url, N_ITEMS, BATCH)) == "open\n"
    with open_store(url) as store:
        assert _assert_whole(store) == N_ITEMS
        assert store.add_items([item(i) for i in range(N_ITEMS)]).unchanged == N_ITEMS


def test_two_writers_and_a_reader_never_meet_a_locked_database(tmp_path: Path):
    url, times = new_url(tmp_path), 25
    between = set[int]()  # what a reader has seen while they wrote
    with open_store(url) as store:
        writers = [_start(WRITE, url, f"writer {i}", times) for i in range(2)]
        while any(writer.poll() is None for writer in writers):
            shown = store.problems(limit=20)
            assert all(row.n_chains == 2 for row in shown)
            between.add(store.stats()["problems"])
        for writer in writers:
            _output(writer)  # fails with what a writer says on stderr
        stats = store.stats()
    assert len(between) > 3
    assert stats["problems"] == 5 * times  # both wrote the same ones
    assert stats["rollouts"] == 4 * times
    assert stats["annotations"] == 2 * times


def test_many_threads_label_at_once(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    with open_store(new_url(tmp_path)) as store:
        thing = item(1)
        store.add_items([thing])
        chain_id = thing.chains[0].id

        def label(who: int) -> None:
            for step in (1, 2, 3):
                store.add_annotation(Annotation(chain_id, f"person {who}", "correct", step, 1))
                assert store.chain(chain_id) is not None

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(label, range(20)))
        assert len(store.annotations(chain_id)) == 60


def test_a_run_is_claimed_by_one_process_only(tmp_path: Path):
    url = new_url(tmp_path)
    with open_store(url) as store:
        ids = [store.add_run("sample", {"i": i}) for i in range(60)]
    workers = [_start(CLAIM, url, f"worker {i}") for i in range(3)]
    claimed = Counter(int(line) for worker in workers for line in _output(worker).split())
    assert claimed == Counter(ids)


def test_processes_that_open_a_new_file_at_once_make_one_store(tmp_path: Path):
    url = new_url(tmp_path)
    workers = [_start(IMPORT, url, 20, 5) for _ in range(4)]
    assert [_output(worker) for worker in workers] == ["open\n"] * 4
    with open_store(url) as store:
        assert store.stats()["problems"] == 20


def test_a_reader_keeps_its_view_while_another_writes(tmp_path: Path):
    url = new_url(tmp_path)
    with open_store(url) as one, open_store(url) as two, one.reading() as connection:
        count = "SELECT count(*) FROM problems"
        assert connection.exec_driver_sql(count).scalar() == 0
        two.add_items([item(1)])
        two.add_items([item(2)])
        assert connection.exec_driver_sql(count).scalar() == 0
        assert two.count_problems() == 2
