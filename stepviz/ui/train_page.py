"""Train: a model from a dataset of the store, with its loss as it falls; what comes out can be chosen in Explore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.trainings import TRAININGS
from stepviz.ui import render_head, render_train, render_train_form
from stepviz.ui.page import Actions, Update, connect, number_in, reply, run_actions, widget
from stepviz.ui.status import head_of
from stepviz.ui.train_words import in_words
from stepviz.ui.view_train import At, TrainingList, TrainPage, open_training, page_of, parse, training_list
from stepviz.ui.view_train_form import TrainForm, form_of, sent_of, spec_of
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/form.js", "js/train.js")


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = Train(bench)
    top = widget("top", render_head.waiting("train"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="train"):
        form = widget("tform", render_train_form.form(TrainForm(TRAININGS["sft"])), _SCRIPTS)
        listed = widget("tlist", render_train.trainings(TrainingList(())), _SCRIPTS)
        opened = widget("topen", '<div class="phead"></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "tform": form, "tlist": listed, "topen": opened, "reply": answer}, page.act)


class Train:
    """The page's actions. The form travels with each of them; nothing of a visitor is kept here."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        names = {
            **run_actions(self.bench, lambda at: Update(self._rest(at))),
            "open": self.open,
            "look": self.look,
            "form": self.form,
            "like": self.like,
            "start": self.start,
            "discard": self.discard,
            "poll": self.poll,
        }
        self.act = Actions(names, parse, in_words)

    def open(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The whole page, with the form as it was sent."""
        page = page_of(self.bench, at, sent)
        return Update({"tform": render_train_form.form(page.form)} | self._rest(at))

    def look(self, at: At, _sent: Mapping[str, Any]) -> Update:
        """List and training; the form stays as somebody left it."""
        return Update(self._rest(at))

    def form(self, at: At, sent: Mapping[str, Any]) -> Update:
        return Update({"tform": render_train_form.form(form_of(self.bench.store, sent, at.dataset))})

    def like(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The form as it would train this model again."""
        run = self.bench.store.run(number_in(sent, "run"))
        if run is None or run.kind != "train":
            raise StepvizError("this run is no training")
        update = self.form(at, sent_of(run.spec) | {"serial": sent.get("serial", "")})
        update.reply = reply("toast", f"The form has the settings of {run.spec.get('name')}.")
        return update

    def start(self, _at: At, sent: Mapping[str, Any]) -> Update:
        """Starts a run; what cannot work is said before that."""
        run = jobs.start(self.bench.store, "train", spec_of(self.bench.store, sent))
        kept = {name: value for name, value in sent.items() if name != "name"}
        update = Update(self._rest(At(run=run)), reply("run", str(run)))
        update.html["tform"] = render_train_form.form(form_of(self.bench.store, kept))
        return update

    def discard(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Gives up the checkpoint of a training that stopped; its name is free again."""
        jobs.discard(self.bench.store, number_in(sent, "run"))
        return Update(self._rest(at), reply("toast", "The checkpoint is gone."))

    def poll(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Header, list and the open training while something runs."""
        head = head_of(self.bench, "train")
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        return Update(self._rest(at))

    def _rest(self, at: At) -> dict[str, str]:
        head = head_of(self.bench, "train")
        opened, missing = open_training(self.bench, at)
        page = TrainPage(
            form_of(self.bench.store, {}, at.dataset)
            if opened is None and not missing
            else TrainForm(TRAININGS["sft"]),
            training_list(self.bench, opened.line.run.id if opened else None),
            opened,
            missing,
        )
        return {
            "top": render_head.head(head),
            "tlist": render_train.trainings(page.list),
            "topen": render_train.opened(page),
        }
