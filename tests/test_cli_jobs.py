"""`sample`, `measure`: what is said when they end, are stopped, or are asked for what there is not."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from db.values import RunRow
from stepviz import cli_jobs, jobs
from stepviz.errors import StepvizError
from tests import ui_cases
from tests.test_cli import run


def test_the_end_says_draws_and_tokens_and_no_time_left(tmp_path: Path) -> None:
    run(tmp_path, "world", "problems", "test", "--count", "1")
    sampled = run(tmp_path, "sample", "--n", "2").stdout
    assert re.fullmatch(r"run 1 done: 2/2 continuations · 2 draws · [\d,]+ tokens sampled · [\d,]+ read\n", sampled)
    measured = run(tmp_path, "measure", "--k", "3", "--strategy", "backward").stdout
    assert re.fullmatch(r"run 2 done: 2/2 chains · \d+ draws · [\d,]+ tokens sampled · [\d,]+ read\n", measured)


def test_ctrl_c_begins_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_store: Store, _run: int, tell: Callable[[Mapping[str, Any]], None]) -> RunRow:
        tell({"done": 3, "total": 9, "unit": "chains", "eta_s": 60})
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "wait", interrupted)
    monkeypatch.setattr(jobs, "ensure", lambda *_: True)
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        ids = ui_cases.fill(store)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        with pytest.raises(StepvizError, match="run 1 is being cancelled"):
            cli_jobs.ended(store, "measure", {"chains": [ids["wrong"]], "n": 8})
        assert store.run(1).state == "cancelled"
        assert [line for _, line in store.log_lines(1)] == ["cancelled before it began"]
    assert capsys.readouterr().err.endswith("3/9 chains · 60 s left\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "nonsense", "--estimate"), "unknown engine 'nonsense'; supported: embedded, "),
        (("--engine", "hf:", "--estimate"), "unknown engine 'hf:'; supported: embedded, "),
        (("--engine", "hf:/no/such/folder", "--estimate"), "there is no model 'hf:/no/such/folder'"),
        (("--engine", "embedded:sorm", "--estimate"), "is no language model"),
        (("--strategy", "adaptive", "--budget", "7"), "budget is a share above 0 and at most 1"),
        (("--strategy", "adaptive", "--budget", "0"), "budget is a share above 0 and at most 1"),
        (("--strategy", "adaptive", "--confidence", "2"), "confidence is a share above 0 and below 1"),
    ],
)
def test_what_there_is_not_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        ids = ui_cases.fill(store)
    refused = run(tmp_path, "measure", "--chain", ids["wrong"], *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        assert store.runs() == []


def test_all_of_the_exhaustive_cost_may_be_spent(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        spec = {"chains": [ui_cases.fill(store)["wrong"]], "n": 8, "strategy": "adaptive", "budget": 1.0}
        assert jobs.normalised(store, "measure", spec)[1]["budget"] == 1.0
