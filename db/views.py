"""The SQL views that notebooks and other programs read; docs/store.md describes their columns.

A change here needs a new revision (an empty one will do): views are made anew when a database is migrated.
"""

from __future__ import annotations

from sqlalchemy import Connection

from stepviz.types import digest

PROBLEMS = """
SELECT p.seq, p.id AS problem_id, s.source, s.split, s.key, p.question, p.answer, p.solution, p.n_chains, p.n_correct,
    CASE WHEN coalesce(p.answer, '') <> ''
        OR EXISTS (SELECT 1 FROM chains c WHERE c.problem_id = p.id AND c.verdict <> 'unknown')
        THEN CAST(p.n_correct AS DOUBLE PRECISION) / nullif(p.n_chains, 0) END AS share_correct,
    p.n_disputed, p.created_at
FROM problems p
JOIN problem_sources s ON s.id = (SELECT min(f.id) FROM problem_sources f WHERE f.problem_id = p.id)
"""

CHAINS = """
SELECT c.seq, c.id AS chain_id, c.problem_id, c.origin, c.key,
    c.number, c.own_text || coalesce(k.text, '') AS text, c.n_steps, c.rule,
    c.answer, c.verdict, c.graded, c.reason, c.grader, c.overridden_by, c.override_note,
    c.disputed, k.model_id, k.sampling_id, k.seed, c.parent, c.branch_step, c.created_at
FROM chains c LEFT JOIN continuations k ON k.id = c.continuation_id
"""

STEPS = {
    "sqlite": """
SELECT c.seq, c.id AS chain_id, c.problem_id, s.key + 1 AS step, s.value ->> 2 AS kind,
    substr(c.own_text || coalesce(k.text, ''), (s.value ->> 0) + 1, (s.value ->> 1) - (s.value ->> 0)) AS text,
    s.value ->> 0 AS start_char, s.value ->> 1 AS end_char
FROM chains c LEFT JOIN continuations k ON k.id = c.continuation_id, json_each(c.spans) s
""",
    "postgresql": """
SELECT c.seq, c.id AS chain_id, c.problem_id, s.number AS step, s.value ->> 2 AS kind,
    substr(c.own_text || coalesce(k.text, ''), (s.value ->> 0)::int + 1,
        (s.value ->> 1)::int - (s.value ->> 0)::int) AS text,
    (s.value ->> 0)::int AS start_char, (s.value ->> 1)::int AS end_char
FROM chains c LEFT JOIN continuations k ON k.id = c.continuation_id
CROSS JOIN LATERAL json_array_elements(c.spans) WITH ORDINALITY AS s(value, number)
""",
}

VALUES = """
SELECT problem_id, prefix_hash, model_id, sampling_id, count(*) AS n,
    sum(CASE WHEN verdict = 'correct' THEN 1 ELSE 0 END) AS k,
    sum(CASE WHEN finish_reason = 'length' AND answer IS NULL THEN 1 ELSE 0 END) AS unfinished,
    avg(CASE WHEN verdict = 'correct' THEN CAST(1 AS DOUBLE PRECISION) ELSE 0 END) AS value
FROM continuations
GROUP BY problem_id, prefix_hash, model_id, sampling_id
"""

# A label counts 1, an undo −1: what a person said last and did not take back is the last label whose running
# sum is reached by no later row's from below.
ANNOTATIONS = """
WITH depth AS (
    SELECT a.*, sum(CASE WHEN undone THEN -1 ELSE 1 END) OVER (
        PARTITION BY chain_id, annotator, question, step ORDER BY id) AS height
    FROM annotations a
), standing AS (
    SELECT d.*, min(height) OVER (PARTITION BY chain_id, annotator, question, step ORDER BY id
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lowest_after
    FROM depth d
), ranked AS (
    SELECT s.*, row_number() OVER (PARTITION BY chain_id, annotator, question, step ORDER BY id DESC) AS place
    FROM standing s WHERE NOT undone AND lowest_after >= height
)
SELECT r.id AS annotation_id, r.chain_id, c.problem_id, r.annotator, r.question, r.step, r.value, r.note, r.key,
    r.created_at
FROM ranked r JOIN chains c ON c.id = r.chain_id
WHERE r.place = 1
"""


def views(dialect: str) -> dict[str, str]:
    """Name → SELECT."""
    return {
        "v_problems": PROBLEMS,
        "v_chains": CHAINS,
        "v_steps": STEPS[dialect],
        "v_values": VALUES,
        "v_annotations": ANNOTATIONS,
    }


def views_digest() -> str:
    return digest(*(sql for dialect in sorted(STEPS) for sql in views(dialect).values()))


def create_views(connection: Connection) -> None:
    for name, select in views(connection.dialect.name).items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")


def drop_views(connection: Connection) -> None:
    for name in reversed(views(connection.dialect.name)):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
