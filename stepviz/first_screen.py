"""What a new user sees first: embedded problems, some with chains that are sampled and measured already.

The draws lie in embedded/first_screen.jsonl, as the shipped student made them (`python -m training embedded`), with
the scores that the shipped ORM and SORM give after each of their steps;
`seed` puts them into a store that has none, so that the first start needs no model to be loaded. The app does so when
it starts, the command line when it is asked for problems of the source "embedded".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ChainFilter, ContinuationKey, ModelRow, ProblemFilter
from stepviz import embedded, rollouts, sampling
from stepviz.engines import Engine
from stepviz.reward import load_scorer
from stepviz.types import Continuation, Problem, Sampling, SourceItem, continuation_seed, prefix_hash
from stepviz.world import embedded_problems, exact_for, problem

FILE = embedded.FOLDER / "first_screen.jsonl"
PROBLEMS = 200  # of the test split, in a new store
SHOWN = 6  # of them with chains
CHAINS, ROLLOUTS = 8, 8
SCORERS = ("sorm", "orm")
KEPT = ("prefix_hash", "j", "text", "finish_reason", "tokens", "answer", "verdict", "reason")  # the rest follows


def seed(store: Store, path: Path = FILE) -> bool:
    """Adds the embedded problems where there is none of them, or where this was interrupted. Whether it did."""
    if not path.exists() or not _unseeded(store):
        return False
    head, draws = _read(path)
    shown = list(dict.fromkeys(key for key, _ in draws))
    problems = {key: problem(*_split(key)) for key in shown}
    rest = [p for p in embedded_problems("test", PROBLEMS) if p.key not in problems]
    store.add_items([SourceItem(p) for p in (*problems.values(), *rest)])
    drawn_with = Sampling.from_dict(head["sampling"])
    store.add_sampling(drawn_with)
    store.add_model(ModelRow(head["model"], "generator", "embedded"))
    store.add_continuations([c for _, c in draws])
    roots = [c for _, c in draws if c.prefix_hash == prefix_hash("") and c.j < CHAINS]
    made = [(sampling.read(c, drawn_with), c) for c in roots]
    store.add_chains([(s.chain, s.verdict, _key(c)) for s, c in made])
    chains = {_place(c): s.chain for s, c in made}
    for scorer in head.get("scorers", ()):
        store.add_model(ModelRow(scorer["model"], scorer["role"], scorer["spec"]))
        for key, rows in scorer["scores"].items():
            for j, scores in enumerate(rows):
                chain = chains[problems[key].id, j]
                store.add_scores(chain.id, scorer["model"], scores, chain.spans)
    return True


def _place(c: Continuation) -> tuple[str, int]:
    return c.problem_id, c.j


def seed_for(store: Store, source: str | None) -> None:
    """For commands that choose problems by source: the embedded ones are there as soon as they are asked for."""
    if source == "embedded":
        seed(store)


def _unseeded(store: Store) -> bool:
    """No problem of the embedded test split is there, or only some without chains, as a kill leaves them.

    What else the store holds does not matter: after an import, too, the first screen has something measured to show.
    """
    here = store.count_problems(ProblemFilter(source="embedded", split="test"))
    if not here:
        return True
    chains = store.count_chains(ChainFilter(source="embedded", split="test"))
    return not chains and PROBLEMS <= here <= PROBLEMS + SHOWN


def record(engine: Engine, path: Path = FILE, progress: Callable[[str], None] = print) -> None:
    """Chooses problems worth looking at, samples and measures them, and writes the file."""
    drawn_with = Sampling()
    rows: list[tuple[str, Continuation]] = []
    for p in _worth_showing(engine, drawn_with):
        progress(f"measuring {p.key}")
        found: dict[tuple[str, int], Continuation] = {}

        def keep(new: Sequence[Continuation], found: dict[tuple[str, int], Continuation] = found) -> None:
            found.update({(c.prefix_hash, c.j): c for c in new})

        def recall(
            _problem: str, prefix: str, found: dict[tuple[str, int], Continuation] = found
        ) -> list[Continuation]:
            return [c for (hashed, _), c in found.items() if hashed == prefix]

        for s in sampling.sample(p, engine, CHAINS, drawn_with, recall=recall, record=keep):
            rollouts.measure(s.chain, p, engine, ROLLOUTS, drawn_with, recall=recall, record=keep)
        rows += [(p.key, c) for c in found.values()]
    head = {"model": engine.model_id, "sampling": asdict(drawn_with), "grader": rows[0][1].grader}
    head["scorers"] = [_scores(name, rows, drawn_with) for name in SCORERS]
    lines = [json.dumps(head), *(json.dumps([key, *(getattr(c, name) for name in KEPT)]) for key, c in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _scores(name: str, rows: Sequence[tuple[str, Continuation]], drawn_with: Sampling) -> dict[str, Any]:
    """What a shipped scorer says of the chains that will be shown: problem → chain j → a score after each step."""
    scorer = load_scorer(f"embedded:{name}", device="cpu")
    found: dict[str, list[list[float]]] = {}
    for key, c in sorted(rows, key=lambda row: row[1].j):  # stored as they were drawn
        if c.prefix_hash == prefix_hash("") and c.j < CHAINS:
            asked = (problem(*_split(key)).question, sampling.read(c, drawn_with).chain.steps)
            found.setdefault(key, []).append([round(score, 4) for score in scorer.score([asked])[0]])
    return {"model": scorer.model_id, "role": scorer.role, "spec": scorer.spec, "scores": found}


def _worth_showing(engine: Engine, drawn_with: Sampling) -> Iterator[Problem]:
    """Test problems of four steps or more with right and wrong samples, one of which falls into its pit midway."""
    shown = 0
    for p in embedded_problems("test", 400):
        judge = exact_for(p)
        if p.meta["steps"] < 4 or judge is None or shown == SHOWN:
            continue
        samples = sampling.sample(p, engine, CHAINS, drawn_with, recall=lambda *_: (), record=lambda _: None)
        judged = [judge.judge(s.chain.steps) for s in samples]
        midway = any(j.exact_pit and 2 <= j.exact_pit < len(j.steps) - 1 for j in judged)
        if midway and 3 <= sum(j.right for j in judged) <= 6:
            shown += 1
            yield p


def _read(path: Path) -> tuple[dict[str, Any], list[tuple[str, Continuation]]]:
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    head = json.loads(first)
    sampling_id = Sampling.from_dict(head["sampling"]).hash
    ids: dict[str, str] = {}
    draws = []
    for line in lines:
        key, *values = json.loads(line)
        row = dict(zip(KEPT, values, strict=True))
        known = ids.setdefault(key, "") or problem(*_split(key)).id
        ids[key] = known
        seed = continuation_seed(known, row["prefix_hash"], head["model"], sampling_id, row["j"])
        draws.append((key, Continuation(known, model_id=head["model"], sampling_id=sampling_id, seed=seed,
                                        grader=head["grader"], **row)))  # fmt: skip
    return head, draws


def _split(key: str) -> tuple[str, int]:
    split, index = key.split("/")
    return split, int(index)


def _key(c: Continuation) -> ContinuationKey:
    return ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)
