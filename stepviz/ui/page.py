"""What every page is built of: HTML widgets without Gradio's styles, one event, and a reply beside the HTML.

A page has one event, `act`, on the header: the browser sends a dictionary with the action's name and the page's
address (`at`), and the server answers with new HTML for the widgets that change. So nothing of a visitor is kept
on the server, and every request says itself where it stands.

Data goes into `value` only, escaped: a template would run `${…}` in a step as code (see docs of gr.HTML).
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import gradio as gr

from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.ui.render import attrs
from stepviz.ui.render_head import signed
from stepviz.ui.signed_in import person

if TYPE_CHECKING:
    from db.store import Store
    from stepviz.ui.workbench import Workbench

STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("vendor/katex/katex.min.js", "js/core.js", "js/typeset.js")
_log = logging.getLogger(__name__)
_nonce = itertools.count(int(time.time() * 1000))


@dataclass(slots=True)
class Update:
    """New HTML by widget (of a plot: its figure), and what to tell the browser beside it."""

    html: dict[str, Any] = field(default_factory=dict)
    reply: str = ""

    def error(self, message: str) -> Update:
        self.reply = reply("error", message)
        return self


Act = Callable[[Mapping[str, Any], str], Update]  # (what the browser sent, who sent it) → what changes
At = TypeVar("At")  # what a page reads its address as


@dataclass(frozen=True, slots=True)
class Actions(Generic[At]):
    """A page's actions by name, as its `act`: each takes the address and what the browser sent.

    parse: the address as it was sent, and written by anyone; worded: a message written for the command line, in the
    page's own words.
    """

    by_name: Mapping[str, Callable[[At, Mapping[str, Any]], Update]]
    parse: Callable[[str], At]
    worded: Callable[[str], str] = str

    def __call__(self, sent: Mapping[str, Any], _who: str) -> Update:
        name = str(sent.get("act", ""))
        if name not in self.by_name:
            return no_action(name)
        try:
            return self.by_name[name](self.parse(str(sent.get("at", ""))), sent)
        except StepvizError as error:
            raise StepvizError(self.worded(str(error))) from None


def run_actions(
    bench: Workbench, after: Callable[[At], Update]
) -> dict[str, Callable[[At, Mapping[str, Any]], Update]]:
    """What every page lets its reader do with a run; `after` shows the page anew."""

    def through(do: Callable[[int], object]) -> Callable[[At, Mapping[str, Any]], Update]:
        def act(at: At, sent: Mapping[str, Any]) -> Update:
            do(number_in(sent, "run"))
            return after(at)

        return act

    return {
        "cancel": through(lambda run: jobs.cancel(bench.store, run)),
        "resume": through(lambda run: jobs.resume(bench.store, run)),
        "dismiss": through(bench.dismissed.add),
    }


def no_action(name: str) -> Update:
    """The answer to a script that is older or newer than the server."""
    return Update().error(f"This page has no action {name!r}: reload it.")


def number_in(sent: Mapping[str, Any], name: str) -> int:
    """The number of a run, a dataset, … that the browser sent under this name."""
    text = str(sent.get(name))
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise StepvizError(f"{text[:40]!r} is not a number of a {name}: reload the page.")
    return int(text)


def reply(kind: str, text: str = "", go: str = "", body: str = "") -> str:
    """A word beside the HTML; go: an address to open.

    kind: "dialog" (body opens), "error", "toast", "done" (the dialog closes), "run" (text is its id), "poll", "none".
    """
    return (
        f"<div{attrs(data_kind=kind, data_nonce=next(_nonce), data_text=text or None, data_go=go or None)}>{body}</div>"
    )


def widget(name: str, value: str, scripts: tuple[str, ...] = (), hub: bool = False) -> gr.HTML:
    """One `gr.HTML` whose behaviour lives in static/js; `hub` makes it the page's sender of `act`."""
    load = f"stepviz.widget('{name}', element, watch, upload)"
    if hub:
        load = "stepviz.hub(element, trigger, watch, 'act')"
    head = "".join(f'<script src="/stepviz/{path}?v={_version(path)}"></script>' for path in (*_SCRIPTS, *scripts))
    return gr.HTML(
        value=value,
        elem_id=name,
        elem_classes=["sv"],
        apply_default_css=False,
        head=head,
        js_on_load=load,
        min_height=0,
    )


def connect(
    store: Store, hub: gr.HTML, widgets: Mapping[str, gr.HTML | gr.Plot], act: Act, *, everybody: bool = False
) -> None:
    """Every action of the page goes through one handler; what it leaves out stays as it is in the browser.

    everybody: annotators may, too; else an admin, or the one user of an app without accounts.
    """
    names = list(widgets)

    def on_act(event: gr.EventData, request: gr.Request) -> list[Any]:
        sent = event._data if isinstance(event._data, dict) else {}
        who = person(request.request, store)  # and not request.username: None is nobody's as well as a local user's
        if who is None or not (everybody or who.role == "admin"):
            update = _kept_out(request.username, sent)
        else:
            update = guarded(act, sent, who.name)
        html = update.html | {"reply": update.reply or reply("none")}
        if "top" in html:
            html["top"] = signed(html["top"], who)
        return [html[name] if name in html else gr.skip() for name in names]

    hub.act(
        on_act,
        outputs=list(widgets.values()),
        queue=False,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )


def _kept_out(name: str | None, sent: Mapping[str, Any]) -> Update:
    _log.warning("action %s of %r refused: not an admin", str(sent.get("act"))[:40], (name or "")[:64])
    return Update().error("This page is an admin’s. Your items are on the page Annotate.")


def guarded(act: Act, sent: Mapping[str, Any], who: str) -> Update:
    """A user's mistake becomes a message; anything else is logged and named, and the page stays alive."""
    try:
        return act(sent, who)
    except StepvizError as error:
        return Update().error(str(error))
    except Exception as error:
        _log.exception("action %s failed", sent.get("act"))
        return Update().error(f"That failed: {type(error).__name__}: {error}. The terminal has the details.")


def _version(path: str) -> int:
    """Changes with the file, so that a browser never keeps an old script."""
    return (STATIC / path).stat().st_mtime_ns // 1_000_000


def stylesheets() -> str:
    """For `launch(head=…)`: KaTeX's and our own style sheets."""
    paths = (
        "vendor/katex/katex.min.css",
        *(f"css/{p.name}" for p in sorted((STATIC / "css").glob("*.css"), key=_order)),
    )
    return "".join(f'<link rel="stylesheet" href="/stepviz/{path}?v={_version(path)}">' for path in paths)


def _order(path: Path) -> tuple[bool, str]:
    return path.name != "tokens.css", path.name
