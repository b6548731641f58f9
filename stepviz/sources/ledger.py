"""Refinements in stepviz's own file: lines of the ledger, and the models and samplings that they name.

    "refinements": [{"draft": CHAIN, "refiner": MODEL, …, "candidates": [{"name", "chain", "score"}], "created_at"}],
    "models": [{"id", "role", "spec", "parents", "meta"}], "samplings": [{…}]

The fields are those of the store's rows (db.values). A row without refinements has none of the three.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from stepviz.sources import fields
from stepviz.sources.fields import BadRow
from stepviz.types import Sampling

FIELDS = ("refinements", "models", "samplings")
HOW = ("both", "global", "local")
NO_FLAG = ("global", "argmin", "skip")
_KEY = re.compile(r"[0-9A-Za-z]{1,24}")  # a digest
_LONGEST_NAME = 16


def read(row: Mapping[str, Any], chains: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """The three lists, checked: a line speaks of `chains` (ids), models and samplings that the row brings.

    Empty for a row of a file that was written before there were refinements in it.
    """
    if not row.get("refinements"):
        return {}
    models = [_model(raw) for raw in _objects(row, "models")]
    samplings = [_sampling(raw) for raw in _objects(row, "samplings")]
    known = {model["id"] for model in models}, {sampling["id"] for sampling in samplings}
    lines = [_line(raw, chains, *known) for raw in _objects(row, "refinements")]
    return {"refinements": lines, "models": models, "samplings": samplings}


def _objects(row: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for raw in fields.need(row, name, list):
        if not isinstance(raw, dict):
            raise BadRow(f"{name!r} holds {fields.kind_of(raw)} where an object must be")
        yield raw


def _model(raw: Mapping[str, Any]) -> dict[str, Any]:
    parents = fields.need(raw, "parents", list)
    if not all(isinstance(parent, str) for parent in parents):
        raise BadRow("a model's 'parents' must be texts")
    return {
        "id": fields.text(raw, "id"),
        "role": fields.text(raw, "role"),
        "spec": fields.need(raw, "spec", str),
        "parents": parents,
        "meta": fields.need(raw, "meta", dict),
    }


def _sampling(raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"id": Sampling.from_dict(raw).hash, "spec": dict(raw)}
    except (KeyError, TypeError, ValueError) as reason:
        raise BadRow(f"a sampling cannot be read: {type(reason).__name__} {reason}") from None


def _line(
    raw: Mapping[str, Any], chains: Collection[str], models: Collection[str], samplings: Collection[str]
) -> dict[str, Any]:
    number, maybe = (int, float), type(None)
    line = {
        "draft": _one_of(raw, "draft", chains),
        "key": fields.text(raw, "key"),
        "refiner": _one_of(raw, "refiner", models),
        "orm": _one_of(raw, "orm", models) if raw.get("orm") is not None else None,
        "locator": _one_of(raw, "locator", models) if raw.get("locator") is not None else None,
        "sampling_id": _one_of(raw, "sampling_id", samplings),
        "how": _one_of(raw, "how", HOW),
        "gate": fields.need(raw, "gate", *number, maybe),
        "threshold": fields.need(raw, "threshold", *number),
        "no_flag": _one_of(raw, "no_flag", NO_FLAG),
        "at": fields.need(raw, "at", int, maybe),
        "samples": fields.need(raw, "samples", int),
        "when": fields.need(raw, "when", *number, maybe),
        "chosen": fields.need(raw, "chosen", bool),
        "where": fields.need(raw, "where", int, maybe),
        "note": fields.need(raw, "note", str),
        "created_at": _moment(raw),
        "candidates": [_candidate(one, chains) for one in _objects(raw, "candidates")],
    }
    names = [candidate["name"] for candidate in line["candidates"]]
    if not _KEY.fullmatch(line["key"]):
        raise BadRow(f"a refinement's 'key' is no digest: {line['key']!r:.80}")
    if names[:1] != ["draft"] or line["candidates"][0]["chain"] != line["draft"] or len(set(names)) < len(names):
        raise BadRow("a refinement's candidates begin with its draft, and each has a name of its own")
    return {**line, "pick": _one_of(raw, "pick", names)}


def _candidate(raw: Mapping[str, Any], chains: Collection[str]) -> dict[str, Any]:
    name = fields.text(raw, "name")
    if len(name) > _LONGEST_NAME:
        raise BadRow(f"a candidate's name is too long: {name!r:.80}")
    return {
        "name": name,
        "chain": _one_of(raw, "chain", chains),
        "score": fields.need(raw, "score", int, float, type(None)),
    }


def _one_of(raw: Mapping[str, Any], name: str, known: Collection[str]) -> str:
    value: str = fields.need(raw, name, str)
    if value not in known:
        raise BadRow(f"a refinement's {name!r} is {value!r:.80}, which the row does not bring")
    return value


def _moment(raw: Mapping[str, Any]) -> datetime:
    written = fields.text(raw, "created_at")
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRow(f"a refinement's 'created_at' is no moment with its zone: {written!r:.80}")
    return moment
