"""Small problems, chains and draws that the store's tests share."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from stepviz.types import (
    Chain,
    Continuation,
    Problem,
    Sampling,
    SourceItem,
    Span,
    Verdict,
    continuation_seed,
    prefix_hash,
)

SAMPLING = Sampling()
RIGHT = Verdict("correct", "equal numbers", "stepviz/1", "5")
WRONG = Verdict("wrong", "numbers differ", "stepviz/1", "6")


# A PostgreSQL URL whose user may create databases: then the store's tests run there instead of on SQLite.
SERVER = os.environ.get("STEPVIZ_TEST_SERVER")
sqlite_only = pytest.mark.skipif(SERVER is not None, reason="is about SQLite; STEPVIZ_TEST_SERVER is set")


def new_url(folder: Path) -> str:
    """The URL of a store that is not there yet."""
    if SERVER is None:
        return f"sqlite:///{folder}/store.db"
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(SERVER).set(database=name).render_as_string(hide_password=False)


def problem(question: str = "Ana has 2 pens and buys 3. How many?", **fields: object) -> Problem:
    return Problem(question, **{"answer": "5", "source": "gsm8k", "key": "test/1", "split": "test", **fields})


def chain(of: Problem, key: str = "0", text: str = "2+3=5\nShe has 5.\nA: 5", **fields: object) -> Chain:
    """Lines are steps; a line "A: …" is the answer."""
    spans, start = [], 0
    for line in text.split("\n"):
        spans.append(Span(start, start + len(line), "answer" if line.startswith("A:") else "step"))
        start += len(line) + 1
    return Chain(
        of.id, **{"origin": "human", "key": key, "text": text, "spans": tuple(spans), "rule": "line/1", **fields}
    )


def item(number: int, n_chains: int = 2) -> SourceItem:
    """A problem of its own with chains, as row `number` of a file."""
    p = problem(f"What is {number} + 0?", key=f"test/{number}", answer=str(number))
    return SourceItem(p, tuple(chain(p, str(j)) for j in range(n_chains)), line=number)


def draw(
    of: Problem, j: int, text: str = "A: 5", verdict: str = "correct", prefix: str = "", **fields: object
) -> Continuation:
    key = {
        "problem_id": of.id,
        "prefix_hash": prefix_hash(prefix),
        "model_id": "embedded/student",
        "sampling_id": SAMPLING.hash,
        "j": j,
    }
    rest = {
        "seed": continuation_seed(*key.values()),
        "text": text,
        "finish_reason": "stop",
        "tokens": 4,
        "answer": "5",
        "verdict": verdict,
        "reason": "",
        "grader": "stepviz/1",
    }
    return Continuation(**{**key, **rest, **fields})
