"""Datasets: build a training set from the store, read its rows, download it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from db.values import ProblemFilter
from stepviz import jobs
from stepviz.datasets import planned
from stepviz.errors import StepvizError
from stepviz.types import SourceItem
from stepviz.ui import render_dataset, render_datasets, render_head
from stepviz.ui.page import Actions, Update, connect, number_in, reply, run_actions, widget
from stepviz.ui.rows import Head
from stepviz.ui.status import head_of
from stepviz.ui.view_datasets import (
    At,
    DatasetList,
    DatasetsPage,
    in_words,
    open_dataset,
    page_of,
    parse,
    run_of,
)
from stepviz.ui.view_recipe import RecipeForm, config_of, form_of, sent_of
from stepviz.ui.workbench import Workbench
from stepviz.world import embedded_problems

_SCRIPTS = ("js/form.js", "js/datasets.js")
EMBEDDED = 200  # training problems that an empty page offers: about a second's work


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = Datasets(bench)
    top = widget("top", render_head.waiting("datasets"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="dsets"):
        form = widget("build", render_datasets.form(RecipeForm("sft")), _SCRIPTS)
        listed = widget("dlist", render_datasets.datasets(DatasetList((), 0)), _SCRIPTS)
        opened = widget("dopen", '<div class="phead"></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "build": form, "dlist": listed, "dopen": opened, "reply": answer}, page.act)


class Datasets:
    """The page's actions. The form travels with each of them; nothing of a visitor is kept here."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        names = {
            **run_actions(self.bench, self._after),
            "open": self.open,
            "look": self.look,
            "rows": self.rows,
            "form": self.form,
            "like": self.like,
            "build": self.build,
            "world": self.world,
            "poll": self.poll,
        }
        self.act = Actions(names, parse, in_words)

    def open(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The whole page, with the form as it was sent."""
        head, page = head_of(self.bench, "datasets"), page_of(self.bench, at, sent)
        return Update({"build": render_datasets.form(page.form)} | self._rest(head, page))

    def look(self, at: At, _sent: Mapping[str, Any]) -> Update:
        """List and dataset; the form stays as somebody left it."""
        return Update(self._rest(head_of(self.bench, "datasets"), page_of(self.bench, at)))

    def rows(self, at: At, _sent: Mapping[str, Any]) -> Update:
        opened, missing = open_dataset(self.bench, at)
        page = DatasetsPage(RecipeForm("sft"), DatasetList((), 0), opened, missing)
        return Update({"dopen": render_dataset.opened(page)})

    def form(self, _at: At, sent: Mapping[str, Any]) -> Update:
        return Update({"build": render_datasets.form(form_of(self.bench.store, sent))})

    def like(self, _at: At, sent: Mapping[str, Any]) -> Update:
        """The form as it would build this dataset again."""
        made = self.bench.store.dataset(number_in(sent, "dataset"))
        serial = {"serial": sent.get("serial", "")}
        update = self.form(_at, sent_of(made.recipe, made.config, made.name) | serial)
        update.reply = reply("toast", f"The form has the settings of {made.name} v{made.version}.")
        return update

    def build(self, _at: At, sent: Mapping[str, Any]) -> Update:
        """Starts a run; what cannot work is said before that."""
        store = self.bench.store
        recipe, config, name = config_of(sent)
        planned(store, recipe, config)
        if not store.count_problems(ProblemFilter(source=config.get("source"), split=config["split"])):
            raise StepvizError("No problem of this source and split is here: choose others.")
        if lacks := form_of(store, sent).lacks:
            raise StepvizError(lacks)
        run = jobs.start(store, "dataset", {"recipe": recipe, "config": config, "name": name})
        self.bench.dismissed.discard(run)
        return self._after(At(run=run), {"kind": "run", "text": str(run)})

    def world(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The first training problems of the embedded world into the store."""
        added = self.bench.store.add_items([SourceItem(p) for p in embedded_problems("train", EMBEDDED)])
        update = self.open(at, sent)
        update.reply = reply("toast", f"{added.problems_new:,} embedded problems are here now. sft can be built.")
        return update

    def poll(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Header and list while something runs; the dataset too, once the build of the address is through."""
        head = head_of(self.bench, "datasets")
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        update = self._after(at)
        run = run_of(self.bench, at)
        if run is not None and run.state == "done":
            update.html |= self.rows(at, sent).html
        return update

    def _after(self, at: At, say: Mapping[str, str] | None = None) -> Update:
        head, page = head_of(self.bench, "datasets"), page_of(self.bench, at)
        html = self._rest(head, page)
        if page.open is not None and page.list.total:
            html.pop("dopen")  # it stays where its reader has scrolled to
        return Update(html, reply(**say) if say else "")

    def _rest(self, head: Head, page: DatasetsPage) -> dict[str, str]:
        """head: read before the page, see head_of."""
        return {
            "top": render_head.head(head),
            "dlist": render_datasets.datasets(page.list),
            "dopen": render_dataset.opened(page),
        }
