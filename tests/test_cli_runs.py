"""`run list` and `run show`: the same as the Runs page says, for people and as JSON."""

from __future__ import annotations

from pathlib import Path

from db.store import open_store
from stepviz.types import Sampling
from tests import ui_cases
from tests.test_cli import run, value

NOTE = "the memory of cuda was too small for 256 continuations at once: it goes on with 128"


def test_a_run_is_shown_with_its_cost_results_settings_and_log(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        ids = ui_cases.fill(store)
        spec = {"chains": [ids["wrong"]], "n": 8, "engine": "embedded", "sampling": store.add_sampling(Sampling())}
        id = store.add_run("measure", spec)
        store.claim_run("w", id=id)
        spent = {"sampled": 9_000, "read": 600, "seconds": 8.0, "draws": 24}
        progress = {"done": 24, "total": 24, "unit": "continuations", "plan": {"x": 1}, "spent": spent, "notes": [NOTE]}
        store.heartbeat(id, "w", progress)
        store.log(id, NOTE, "another line")
        store.finish_run(id, "failed", "the server closed")
        other = store.add_run("sample many", {"problems": [ids["problem"]]})
    shown = value(run(tmp_path, "run", "show", str(id), "--json"))
    assert isinstance(shown, dict)
    assert (shown["kind"], shown["state"], shown["error"]) == ("measure", "failed", "the server closed")
    assert shown["cost"] == {
        "sampled": 9_000,
        "read": 600,
        "trained": None,
        "seconds": 8.0,
        "per_second": 1125.0,
        "draws": 24,
    }
    assert shown["settings"] == spec
    assert [result["address"] for result in shown["results"]] == [f"/?chain={ids['wrong']}"]
    assert shown["log"] == [NOTE, "another line"]
    assert shown["progress"]["notes"] == [NOTE]
    assert "plan" not in shown["progress"]
    text = run(tmp_path, "run", "show", str(id)).stdout
    for said in (
        f"run {id} · Measuring · failed",
        "24 draws · 9,000 tokens sampled · 600 read · 1,125 tokens a second · 8.0 s at work",
        "the server closed",
        "  sampling: temperature 0.7 · at most 300 tokens · prompt plain",
        f": /?chain={ids['wrong']}",
        "  another line",
    ):
        assert said in text
    listed = value(run(tmp_path, "run", "list", "--kind", "sample", "--json"))
    assert isinstance(listed, list)
    assert [(r["id"], r["kind"], r["state"]) for r in listed] == [(other, "sample many", "queued")]
    assert [r["id"] for r in value(run(tmp_path, "run", "list", "--skip", "1", "--json"))] == [id]
    assert "9,000 tokens" in run(tmp_path, "run", "list", "--state", "failed").stdout
    wrong = run(tmp_path, "run", "list", "--state", "paused")
    assert (wrong.returncode, "no state 'paused'" in wrong.stderr) == (1, True)
    nothing = run(tmp_path, "run", "show", "99")
    assert (nothing.returncode, "no run 99" in nothing.stderr) == (1, True)


def test_the_list_speaks_the_apps_words_and_tells_runs_apart(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        ids = ui_cases.fill(store)
        store.add_run("measure many", {"chains": [ids["wrong"], ids["right"]], "n": 8, "strategy": "adaptive"})
    (line,) = run(tmp_path, "run", "list").stdout.splitlines()
    assert line.split()[:3] == ["1", "Measuring", "queued"]
    assert line.endswith("adaptive · 2 chains · 0/?")
    shown = run(tmp_path, "run", "show", "1").stdout
    assert shown.index("strategy: adaptive") < shown.index("chains: ")


def test_a_run_that_is_over_is_not_asked_to_stop(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        for state in ("done", "failed"):
            store.finish_run(store.add_run("import", {}, worker="w"), state)
        store.add_run("import", {})
        store.add_run("import", {}, worker="w")
    said = [run(tmp_path, "run", "cancel", str(id)).stdout for id in (1, 2, 3, 4)]
    assert said == [
        "run 1 is done already: there is nothing to stop\n",
        "run 2 has failed already: there is nothing to stop\n",
        "run 3 is cancelled\n",
        "run 4 is asked to stop\n",
    ]
