"""How a scorer is named, and what it may estimate. Light: commands and forms read this without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stepviz.engines.server import FORM, served
from stepviz.errors import StepvizError

KINDS = ("lines", "qwen-prm", "math-shepherd")
SPECS = (
    "embedded:NAME, hf:ID_OR_PATH, "
    + ", ".join(f"{kind}:ID_OR_PATH" for kind in KINDS)
    + f", vllm: before any of these, {FORM}"
)
ROLES = {
    "orm": "the student's chance to reach the right answer from here (V)",
    "sorm": "whether the right answer can still be reached from here",
    "prm": "whether the step is correct",
}


ESTIMATES = {"orm": "V", "sorm": "S_K", "prm": "correct"}  # as our trainer notes it


def role_in(noted: Mapping[str, object]) -> str:
    """The role that a checkpoint of ours notes. What estimates V is an ORM, whatever it was trained as."""
    return "orm" if noted.get("estimates") == ESTIMATES["orm"] else str(noted.get("role", "prm"))


class Place(NamedTuple):
    """Where a spec's checkpoint lies, what it is called, and its kind where the spec says so.

    `runs`: "here", "vllm", or the URL of a server, which calls the checkpoint `served_as`.
    """

    source: str
    name: str
    kind: str | None
    runs: str = "here"
    served_as: str = ""


def place(spec: str) -> Place:
    """StepvizError for a spec that names no checkpoint."""
    kind, _, rest = spec.partition(":")
    if kind == "vllm" and rest:
        return _place(rest, spec, bare=True)._replace(runs="vllm")
    if kind == "openai":
        asked = served(spec)
        found = _place(asked.model, spec, bare=True)
        return found._replace(runs=asked.url, served_as=asked.model.removeprefix(f"{found.kind}:"))
    return _place(spec, spec)


def _place(given: str, spec: str, bare: bool = False) -> Place:
    """Of `embedded:NAME`, `KIND:ID_OR_PATH`, `hf:ID_OR_PATH`, or, `bare`, of an ID_OR_PATH by itself."""
    kind, _, rest = given.partition(":")
    if kind == "embedded" and rest:
        from stepviz.embedded import path

        return Place(str(path(rest)), f"embedded/{rest}", None)
    if kind in ("hf", *KINDS) and rest:
        return Place(rest, named(rest), kind if kind in KINDS else None)
    if given == "embedded":
        raise StepvizError("embedded:student is a language model, which scores no steps: take embedded:sorm")
    if bare and given and kind not in ("hf", *KINDS):
        return Place(given, named(given), None)
    raise StepvizError(f"unknown scorer {spec!r}; supported: {SPECS}")


def plain(spec: str) -> str:
    """Without the kind, as engines name the same checkpoint: vllm:math-shepherd:PATH is vllm:PATH."""
    kind, _, rest = spec.partition(":")
    if kind in KINDS and rest:
        return f"hf:{rest}"
    before, mark, model = spec.partition(":") if kind == "vllm" else spec.partition("#")
    if kind not in ("vllm", "openai") or plain(model) == model:
        return spec
    return f"{before}{mark}{plain(model).removeprefix('hf:')}"


def named(source: str) -> str:
    """A folder by its last part, a hub id as it is."""
    return Path(source).resolve().name if Path(source).is_dir() else source
