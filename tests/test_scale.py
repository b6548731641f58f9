"""More than one machine (docs/scale.md): servers behind one URL, of which one is killed; the manual's proxy is used."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from db.store import open_store
from db.values import ChainFilter
from stepviz import engines
from stepviz.types import Completion, Request, Sampling, prefix_hash
from tests.scale_cases import MANUAL, Measuring, Program, proxy, proxy_text, servers, stored_chains

SERVE = """
import sys, time
from tests.openai_cases import completion, serving
how = sys.argv[1]

def answer(body, again):
    time.sleep(0.1)
    return {"well": completion(f"{body['seed']}\\n"), "500": (500, {}), "half": "half" if again == 0 else None}[how]

with serving(answer=answer) as fake:
    print(fake.port, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def haproxy() -> None:
    if shutil.which("haproxy") is None:
        message = "HAProxy is missing: apt-get install haproxy"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


@contextmanager
def fakes(folder: Path, *ways: str) -> Iterator[list[tuple[Program, int]]]:
    """Servers that stand where model servers stand, each a process."""
    begun = [Program([sys.executable, "-c", SERVE, how], folder / f"{i}.log") for i, how in enumerate(ways)]
    try:
        yield [(program, _port(program)) for program in begun]
    finally:
        for program in begun:
            program.kill()


def _port(program: Program) -> int:
    deadline = time.monotonic() + 60
    while not (said := program.log.read_text()).endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(said)


def drawn(url: str, n: int, at_half: Program | None = None) -> list[Completion]:
    """n completions; when half of them are there, a server is killed."""
    engine = engines.load(f"openai:{url}#tiny")
    seen: list[int] = []

    def count(index: int, completion: Completion) -> None:
        seen.append(index)
        if at_half is not None and len(seen) == n // 2:
            at_half.kill()

    try:
        return engine.generate([Request("q", "", seed) for seed in range(n)], Sampling(), on_completion=count)
    finally:
        engine.close()


def test_haproxy_takes_the_manuals_configuration_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(proxy_text(8000, 8404, [8001, 8002]))
    checked = subprocess.run(
        ["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"], capture_output=True, text=True, check=True
    )
    assert "WARNING" not in checked.stdout + checked.stderr


def test_no_answer_is_lost_when_one_of_two_servers_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "24")
    with fakes(tmp_path, "well", "well") as both, proxy(tmp_path, [port for _, port in both]) as front:
        found = drawn(front.url, 240, at_half=both[1][0])
        assert [c.text for c in found] == [f"{seed}\n" for seed in range(240)]
        assert min(front.counts("stot")) > 30  # both were at work before
        assert sum(front.counts("wredis")) >= 12  # what the dead one had at work went to the other
        assert front.refused() == 0


def test_a_server_that_only_fails_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "8")
    with fakes(tmp_path, "well", "500") as both, proxy(tmp_path, [port for _, port in both]) as front:
        assert [c.text for c in drawn(front.url, 40)] == [f"{seed}\n" for seed in range(40)]
        assert sum(front.counts("wredis")) > 0
        assert front.refused() == 0


def test_an_answer_that_breaks_off_is_asked_for_again_by_our_client(tmp_path: Path) -> None:
    """The proxy has sent half of it on already, and cannot."""
    with fakes(tmp_path, "well", "half") as both, proxy(tmp_path, [port for _, port in both]) as front:
        assert [c.text for c in drawn(front.url, 12)] == [f"{seed}\n" for seed in range(12)]


def test_a_long_prompt_is_sent_again_too(tmp_path: Path) -> None:
    """As many token ids as the manual says fit the proxy's buffer, each of six digits and a comma."""
    ids = int(re.search(r"prompt of some ([\d,]+) token ids", MANUAL)[1].replace(",", ""))
    buffer = int(re.search(r"tune.bufsize (\d+)", MANUAL)[1])
    assert 7 * ids <= buffer - 4096
    with fakes(tmp_path, "well", "500") as both, proxy(tmp_path, [port for _, port in both]) as front:
        engine = engines.load(f"openai:{front.url}#tiny")
        texts = [c.text for c in engine.generate([Request("q" * 7 * ids, "", seed) for seed in (1, 2, 3)], Sampling())]
        engine.close()
        assert sum(front.counts("wredis")) > 0
        assert front.refused() == 0
    assert texts == ["1\n", "2\n", "3\n"]


@pytest.mark.vllm
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make test-vllm")
def test_a_measurement_goes_on_when_one_of_two_vllm_servers_is_killed(tmp_path: Path) -> None:
    k, db = 16, tmp_path / "chains.db"
    stored_chains(db, problems=6)
    with open_store(f"sqlite:///{db}") as store:
        chains = [row.chain for row in islice(store.chains_of(ChainFilter(source="embedded", split="test")), 18)]
    wanted = {
        (chain.problem_id, prefix_hash(chain.prefix(i)), j)
        for chain in chains
        for i in range(chain.n if chain.spans[-1].kind == "answer" else chain.n + 1)
        for j in range(k)
    }

    def stored() -> set[tuple[str, str, int]]:
        with open_store(f"sqlite:///{db}") as store:
            draws = [c for id_ in {c.problem_id for c in chains} for c in store.continuations_for(id_)]
        return {(c.problem_id, c.prefix_hash, c.j) for c in draws if c.model_id.endswith("+openai")}

    with servers(tmp_path, (None, None)) as both, proxy(tmp_path, [port for _, port in both]) as front:
        measuring = Measuring(db, front.url, len(chains), k)
        while len(stored()) < len(wanted) // 3 and measuring.process.poll() is None:
            time.sleep(0.05)
        while front.counts("scur")[1] == 0 and measuring.process.poll() is None:
            time.sleep(0.01)
        both[1][0].kill()
        before = len(stored())
        ended = measuring.end()
        assert len(wanted) // 3 <= before < len(wanted), "it was not killed in the middle"
        assert sum(front.counts("wredis")) > 0, "the server had nothing to do when it was killed"
        assert min(front.counts("stot")) > 50
    assert (ended["state"], ended["done"]) == ("done", len(wanted))
    assert stored() == wanted
