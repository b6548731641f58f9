"""Routes of the annotator's browser, beside Gradio's queue, which answers in hundreds of milliseconds under load.

    GET  /stepviz/annotate/studies
    POST /stepviz/annotate/next     {"study": ID, "again": SLOT}                         → a turn (stepviz.annotating)
    POST /stepviz/annotate/label    {"slot": ID, "question", "step", "value" | "first_error": true, "note", "key"}
    POST /stepviz/annotate/undo     {"slot": ID, "key"}
    POST /stepviz/annotate/submit   {"slot": ID, "finish", "seconds", "flags", "note"}
    POST /stepviz/annotate/release  {"slot": ID}
    POST /stepviz/annotate/keep     {"slot": ID}                                         somebody is at work on it

Who asks is who signed in; no other name is looked at but "as", by which a page says whom it was opened by: where
somebody else signed in meanwhile, in another tab, it is refused. Each refusal says why ({"error": …}) and is logged;
nothing has changed then: 401 for nobody, 410 for a turn whose time ran out, else 409. A body has to be JSON by its
header, too, which a page of another site cannot send. A key names a stroke, so that one sent twice counts once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from db.store import Store
from db.studies import Late
from db.study_values import SlotRow, StudyRow
from stepviz import annotating
from stepviz.errors import StepvizError
from stepviz.studies import StudyConfig, read
from stepviz.ui import render_annotate, render_head
from stepviz.ui.signed_in import Person, person, session_name

LARGEST = 64 * 1024  # bytes of a body: a note of 10,000 characters has room
CLOSED_ACCOUNT = "This account is closed. An admin can open it again."
CLOSED = "This study is closed. What was saved before is kept."
DRAINED = 64 * 1024 * 1024  # that are read and let go: who is cut off while sending hears no answer
_log = logging.getLogger("stepviz.annotate")
Answer = Callable[[Store, Person, Mapping[str, Any]], Mapping[str, Any]]


def annotate_routes(store: Store) -> list[Route]:
    posts: dict[str, Answer] = {
        "next": _next,
        "label": _label,
        "undo": _undo,
        "submit": _submit,
        "release": _release,
        "keep": _keep,
    }
    routes = [Route(f"/stepviz/annotate/{name}", _answered(store, do), methods=["POST"]) for name, do in posts.items()]
    return [*routes, Route("/stepviz/annotate/studies", _answered(store, _studies), methods=["GET"])]


def _answered(store: Store, do: Answer) -> Callable[[Request], Any]:
    async def answer(request: Request) -> JSONResponse:
        who = await run_in_threadpool(person, request, store)
        if who is None:
            name = session_name(request)
            return _refused(request, name or "", 401, CLOSED_ACCOUNT if name else "Sign in first.", closed=bool(name))
        try:
            sent = await _body(request) if request.method == "POST" else {}
            if sent.get("as") not in (None, who.name):
                return _refused(request, who.name, 401, "Somebody else signed in here meanwhile.")
            return _Ascii(dict(await run_in_threadpool(do, store, who, sent)))
        except _TooLarge:
            return _refused(request, who.name, 413, f"This is more than {LARGEST // 1024} KiB: nothing was saved.")
        except StepvizError as error:
            return _refused(request, who.name, 410 if isinstance(error, Late) else 409, str(error))

    return answer


class _Ascii(JSONResponse):
    """Half a surrogate pair, in a chain or a note, is no UTF-8; as \\uD800 it is JSON all the same."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class _TooLarge(Exception):
    pass


async def _body(request: Request) -> Mapping[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise StepvizError("The body has to be JSON.")
    read_, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > DRAINED:
            raise _TooLarge
        read_ += chunk if size <= LARGEST else b""
    if size > LARGEST:
        raise _TooLarge
    try:
        sent = json.loads(read_)
    except (ValueError, RecursionError):
        raise StepvizError("The body has to be JSON.") from None
    if not isinstance(sent, dict):
        raise StepvizError("The body has to be a JSON object.")
    return sent


def _refused(request: Request, who: str, status: int, why: str, closed: bool = False) -> JSONResponse:
    """closed: who asks has signed in, and their account was closed since."""
    line = "".join(c if c.isprintable() else "?" for c in why[:300])  # what was sent may stand in it
    _log.warning("%s of %r refused (%d): %s", request.url.path, who[:64], status, line)
    return _Ascii({"error": why, **({"closed": True} if closed else {})}, status_code=status)


def _studies(store: Store, who: Person, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those that are open; an admin sees all, with how far each is. head: the page's header, for this person."""
    rows = [row for row in store.studies() if row.open or who.role == "admin"]
    return {
        "you": who.name,
        "role": who.role,
        "studies": [_told(store, who, row) for row in rows],
        "head": render_head.annotate(who),
    }


def _told(store: Store, who: Person, row: StudyRow) -> Mapping[str, Any]:
    """total: items that are theirs: done, open, or still to be had."""
    done, config = store.submitted(row.id, who.name), _config(row)
    left = store.left(row.id, who.name, config.people) if row.open else 0
    told = {"id": row.id, "name": row.name, "questions": list(config.questions), "done": done, "total": done + left}
    return told | ({"open": row.open, "items": row.items, "submitted": row.submitted} if who.role == "admin" else {})


def _next(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    row = store.study(_id(sent, "study"))
    if row is None:
        raise StepvizError("There is no study of this number.")
    if not row.open:
        raise StepvizError(CLOSED)
    config, again = _config(row), _id(sent, "again") if sent.get("again") is not None else None
    slot = store.next_slot(
        row.id, who.name, config.people, config.lease_s, lambda item: config.arm(item, who.name), again
    )
    done = store.submitted(row.id, who.name)
    if slot is None:
        return {"done": done, "over": True}
    turn = annotating.turn(store, row, config, slot, done)
    return turn | {"html": render_annotate.item(turn), "guideline_html": render_annotate.guideline(turn)}


def _label(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    slot, config = _own(store, who, sent)
    row, key = store.chain(slot.chain_id), annotating.key_in(sent)
    assert row is not None, slot.chain_id
    known = annotating.standing(store, slot).get(str(sent.get("question")), {})
    said = annotating.labels(slot, config, sent, row.chain.n, known)
    saved = store.label_in_slot(slot.id, who.name, said, config.lease_s, key)
    return {"saved": len(saved), "labels": annotating.standing(store, slot)}


def _undo(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    slot, config = _own(store, who, sent)
    undone = store.undo_in_slot(slot.id, who.name, config.lease_s, annotating.key_in(sent))
    return {"undone": undone, **annotating.said(store, slot)}


def _submit(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    slot, _ = _own(store, who, sent)
    store.end_slot(slot.id, who.name, **annotating.ending(sent))
    return {"submitted": slot.id}


def _release(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    slot, _ = _own(store, who, sent)
    store.release_slot(slot.id, who.name)
    return {"released": slot.id}


def _keep(store: Store, who: Person, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lease begins anew, as with a label."""
    slot, config = _own(store, who, sent)
    store.label_in_slot(slot.id, who.name, [], config.lease_s)
    return {"lease_s": config.lease_s}


def _own(store: Store, who: Person, sent: Mapping[str, Any]) -> tuple[SlotRow, StudyConfig]:
    slot = store.slot(_id(sent, "slot"))
    if slot is None or slot.annotator != who.name:
        raise StepvizError("This is not your item.")
    study = store.study(slot.study_id)
    assert study is not None, slot.study_id
    if not study.open:
        raise StepvizError(CLOSED)
    return slot, _config(study)


def _config(row: StudyRow) -> StudyConfig:
    return read({name: value for name, value in row.config.items() if name != "gold_by"})


def _id(sent: Mapping[str, Any], name: str) -> int:
    found = sent.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < 1 << 62:
        raise StepvizError(f"{name} has to be a number.")
    return found
