"""The address of the Compare page: which two models at which problems, and how the comparison is looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qsl, urlencode

from stepviz.compare import CLASSES, RULES
from stepviz.compare_address import ANY as ANY
from stepviz.compare_scores import MOVES
from stepviz.compare_spec import CompareSettings

ALONG = ("step", "share")
ROWS = 100  # lines on a page
SETTINGS = tuple(field.name for field in fields(CompareSettings))


@dataclass(frozen=True, slots=True)
class At:
    """before … sampling are what is compared; `pit` is whose first pit, `show` one class of them, `along` the curve's
    abscissa, `t` two judges' threshold, `skip` how many problems the list has passed over. Empty: the default.
    """

    before: str = ""
    after: str = ""
    source: str = ""
    split: str = ""
    limit: str = ""
    samples: str = ""
    k: str = ""
    sampling: str = ""
    pit: str = RULES[0]
    show: str = ""
    along: str = ALONG[0]
    t: str = ""
    skip: str = ""

    def query(self, **changes: object) -> str:
        pairs = [(f.name, str(changes.get(f.name, getattr(self, f.name)) or "")) for f in fields(self)]
        kept = [(name, value) for name, value in pairs if value and value != DEFAULTS.get(name)]
        return "?" + urlencode(kept) if kept else "?"

    @property
    def asked(self) -> dict[str, str]:
        """The settings of the comparison, as text."""
        return {name: getattr(self, name) for name in SETTINGS} | {"source": "" if self.source == ANY else self.source}

    @property
    def skipped(self) -> int:
        return int(self.skip) if self.skip.isascii() and self.skip.isdigit() and len(self.skip) < 9 else 0


DEFAULTS = {"pit": RULES[0], "along": ALONG[0]}


def parse(query: str) -> At:
    """An address written by anyone: unknown names and unusable values are left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:4000]))
    at = At(**{f.name: given.get(f.name, f.default)[:500] for f in fields(At)})
    at = at if at.pit in RULES else replace(at, pit=RULES[0])
    at = at if at.along in ALONG else replace(at, along=ALONG[0])
    return at if at.show in (*CLASSES, *MOVES) else replace(at, show="")
