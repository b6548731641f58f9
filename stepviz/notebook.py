"""The store as pandas frames: `stepviz.open(URL)` in a notebook.

Each frame is read when it is asked for, from the SQL view of the same name (docs/store.md). Measured values
belong to prefixes, not to chains; `values` brings them together by hashing every chain's prefixes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Row, text

from db.columns import decode_text
from db.rows import read_spans
from db.session import store_url
from db.store import Store, open_store
from stepviz.errors import StepvizError
from stepviz.rollouts import prefix_of, terminal
from stepviz.types import Chain, StepValue, VerdictValue, prefix_hash

VALUE_COLUMNS = {
    "chain_id": "str",
    "problem_id": "str",
    "step": "int64",  # 0…n; 0 is the bare question
    "model_id": "str",
    "sampling_id": "str",
    "k": "int64",
    "n": "int64",
    "unfinished": "int64",
    "value": "float64",  # k/n; 1 or 0 where the prefix holds the final answer
    "low": "float64",  # Wilson's 95 % interval; NaN without a sample
    "high": "float64",
    "terminal": "str",  # the chain's verdict where the prefix holds the final answer, else missing
}


class Notebook:
    """Frames of a store; reading a property again reads the store again."""

    def __init__(self, url: str | None = None) -> None:
        """StepvizError where there is no store yet: a mistyped name makes none, other than in the app."""
        where = store_url(url)
        if where.get_backend_name() == "sqlite" and not Path(where.database or "").exists():
            raise StepvizError(
                f"no such store: {where.database}. Check the name and the working directory, or make it: start the "
                "app, or python -m stepviz import"
            )
        self.store: Store = open_store(url)

    @property
    def problems(self) -> pd.DataFrame:
        """A row a problem, with its first source, its number of chains and the share that is right."""
        return self.sql("SELECT * FROM v_problems ORDER BY seq")

    @property
    def chains(self) -> pd.DataFrame:
        """A row a chain, with its whole text and its verdict."""
        return self.sql("SELECT * FROM v_chains ORDER BY seq")

    @property
    def steps(self) -> pd.DataFrame:
        """A row a step of a chain, numbered from 1."""
        return self.sql("SELECT * FROM v_steps ORDER BY seq, step")

    @property
    def annotations(self) -> pd.DataFrame:
        """A row a label that stands: the last of its annotator on that question and step, not taken back."""
        return self.sql("SELECT * FROM v_annotations ORDER BY annotation_id")

    @property
    def values(self) -> pd.DataFrame:
        """A row a chain, step (0…n), model and sampling that the step's prefix was measured with.

        None for problems without a gold answer, where no draw can be judged (v_values counts those, too).
        """
        with self.store.reading() as connection:
            counts = connection.execute(text("SELECT * FROM v_values")).all()
            measured = _by_problem(counts)
            chains = connection.execute(text(_MEASURED_CHAINS)).all() if measured else []
        separators = {id_: sampling.style.separator for id_, sampling in self.store.samplings().items()}
        rows = [row for chain in chains for row in _chain_values(chain, measured[chain.problem_id], separators)]
        return pd.DataFrame(rows, columns=list(VALUE_COLUMNS)).astype(VALUE_COLUMNS)

    def sql(self, query: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Any SELECT as a frame; `:name` in the query is filled from params."""
        with self.store.reading() as connection:
            result = connection.execute(text(query), dict(params or {}))
            frame = pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))
        for name in frame.select_dtypes(["object", "string"]):
            if name.endswith("_at"):
                frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
            else:
                frame[name] = frame[name].map(_decoded)
        for name in {"disputed", "undone"} & set(frame.columns):
            frame[name] = frame[name].astype("bool")
        return frame

    def close(self) -> None:
        self.store.close()


_MEASURED_CHAINS = """
SELECT v.chain_id, v.problem_id, v.text, v.verdict, c.spans, c.rule, c.origin, c.key
FROM v_chains v JOIN chains c ON c.id = v.chain_id
WHERE v.problem_id IN (SELECT problem_id FROM continuations)
AND v.problem_id IN (SELECT id FROM problems WHERE answer <> '')
ORDER BY v.seq
"""

# (model, sampling) → prefix hash → its row of v_values
_Measured = dict[tuple[str, str], dict[str, Row[Any]]]


_HALF_PAIR = re.compile("[\ud800-\udfff]")  # Arrow's strings, which are pandas's, hold none


def _decoded(value: Any) -> Any:
    return _HALF_PAIR.sub("\ufffd", decode_text(value)) if isinstance(value, str) else value


def _by_problem(counts: list[Row[Any]]) -> dict[str, _Measured]:
    found: dict[str, _Measured] = defaultdict(lambda: defaultdict(dict))
    for row in counts:
        found[row.problem_id][decode_text(row.model_id), row.sampling_id][row.prefix_hash] = row
    return found


def _chain_values(row: Row[Any], measured: _Measured, separators: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    spans = read_spans(json.loads(row.spans) if isinstance(row.spans, str) else row.spans)
    chain = Chain(row.problem_id, row.origin, row.key, decode_text(row.text), spans, row.rule)
    for (model, sampling), counts in measured.items():
        for value in _values(chain, row.verdict, separators[sampling], counts):
            low, high = value.interval() or (None, None)
            head = (row.chain_id, row.problem_id, value.step, model, sampling)
            yield (*head, value.k, value.n, value.unfinished, value.value, low, high, value.terminal)


def _values(chain: Chain, verdict: VerdictValue, separator: str, counts: Mapping[str, Row[Any]]) -> Iterator[StepValue]:
    """What is known of V[0 … n]: measured prefixes, and, where there is one, those that hold the final answer."""
    measured = False
    for step in range(chain.n + 1):
        if terminal(chain, step):
            if measured:
                yield StepValue(step, 0, 0, terminal=verdict)
        elif count := counts.get(prefix_hash(prefix_of(chain, step, separator))):
            measured = True
            yield StepValue(step, int(count.k), int(count.n), int(count.unfinished))
