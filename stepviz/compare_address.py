"""The address of a comparison in the app: everything that a shared link must bring back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

from stepviz.compare_spec import CompareSettings

ANY = "*"  # a source's place that names none: left out, the page would take its default


def address(settings: CompareSettings, sampling: str, **view: object) -> str:
    """/compare?before=…&after=… with every setting; `view`: what is shown of it."""
    pairs = {name: getattr(settings, name) for name in ("before", "after", "source", "split", "limit", "samples", "k")}
    named = {**pairs, "source": settings.source or ANY, "sampling": sampling, **view}
    return "/compare?" + urlencode({name: str(value) for name, value in named.items() if value not in ("", None)})


def link_of(spec: Mapping[str, Any]) -> str:
    """The address of the comparison that a run draws; "" where its settings do not say."""
    names = [field.name for field in fields(CompareSettings)]
    if not set(names) <= spec.keys():
        return ""
    return address(CompareSettings(**{name: spec[name] for name in names}), str(spec.get("sampling", "")))
