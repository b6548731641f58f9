"""A run that ends while a page reads the store is not shown at work forever: the header still counts it, so the page
asks again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from db.store import Store
from stepviz import jobs
from stepviz.ui.compare_page import Compare
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.explore import Explore
from stepviz.ui.import_page import ImportPage
from stepviz.ui.page import guarded
from stepviz.ui.refine_page import Refine
from stepviz.ui.train_page import Train
from tests.ui_cases import Filled

CANCEL = 'data-act="cancel"'
EI = {"recipe": "expert-iteration", "base": "embedded:base", "options": {"preset": "embedded"}}
PAGES = {
    "explore": (Explore, "measure", "?chain={wrong}"),
    "refine": (Refine, "refine", "?chain={wrong}&run={run}"),
    "datasets": (Datasets, "dataset", "?run={run}"),
    "train": (Train, "train", "?run={run}"),
    "compare": (Compare, "compare", "?before=embedded:base&after=embedded:student&source=filler"),
    "import": (ImportPage, "import", "?run={run}"),
}
READS = 6  # of runs, at most, that one request makes


def at_work(page: Any, store: Store, kind: str, ids: dict[str, str], at: str, name: str) -> int:
    """A run of this kind that somebody has claimed."""
    if kind == "compare":  # its page knows the whole spec
        page.act({"act": "start", "at": at}, "ana")
        run = store.runs(1)[0].id
    elif kind == "train":
        run = jobs.start(store, kind, EI | {"name": name}, worker=False)
    else:
        run = store.add_run(kind, {"chains": [ids["wrong"]], "path": "x.jsonl", "format": "gsm8k", "recipe": "sft"})
    assert store.claim_run("a worker", id=run) is not None
    return run


def over_after(reads: int, store: Store, run: int, patch: pytest.MonkeyPatch) -> None:
    """The run ends once runs were read so often."""
    left = [reads]

    def counted(read: Callable[..., Any]) -> Callable[..., Any]:
        def look(*args: Any, **named: Any) -> Any:
            found = read(*args, **named)
            left[0] -= 1
            if not left[0]:
                store.finish_run(run, "done")
            return found

        return look

    for name in ("run", "runs", "live_runs"):
        patch.setattr(store, name, counted(getattr(store, name)))


@pytest.mark.parametrize("act", ["open", "poll"])
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("no_worker")
def test_a_page_that_shows_a_run_at_work_asks_again(
    name: str, act: str, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kind, at = PAGES[name]
    store, page = filled.bench.store, made(filled.bench)
    for reads in range(READS + 1):  # 0: it does not end
        run = at_work(page, store, kind, filled.ids, at.format(run="", **filled.ids), f"m{reads}")
        sent = {"act": act, "at": at.format(run=run, **filled.ids), "seen": "something else"}
        with monkeypatch.context() as patch:
            over_after(reads, store, run, patch)
            update = guarded(page.act, sent, "ana")
            store.finish_run(run, "done")
        shown = CANCEL in "".join(update.html.values())
        assert shown or reads, update.reply
        active = int(re.search(r'data-active="(\d+)"', update.html["top"])[1])
        assert active or not shown, f"it ended after {reads} reads"
