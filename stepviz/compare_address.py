"""The address of a comparison in the app: everything that a shared link must bring back."""

from __future__ import annotations

from urllib.parse import urlencode

from stepviz.compare_spec import CompareSettings


def address(settings: CompareSettings, sampling: str, **view: object) -> str:
    """/compare?before=…&after=… with every setting; `view`: what is shown of it."""
    pairs = {name: getattr(settings, name) for name in ("before", "after", "source", "split", "limit", "samples", "k")}
    named = {**pairs, "sampling": sampling, **view}
    return "/compare?" + urlencode({name: str(value) for name, value in named.items() if value not in ("", None)})
