"""PRM800K (openai/prm800k): every candidate step rated by a person, +1, 0, -1, or null where nobody rated it.

Two shapes of rows, both written out again as they came:
- OpenAI's:  {"labeler", "timestamp", "question": {"problem", "pre_generated_steps", …}, "label": {"steps":
             [{"completions": [{"text", "rating", "flagged"}], "human_completion", "chosen_completion"}], …}, …}
- compact:   {"id", "problem", "steps": [{"candidates": [{"text", "rating", …}], "chosen", "human"}]}

The chosen path (a candidate, or the step the person wrote where none is chosen) is one chain; each other
candidate is a chain that branches from it before that step. Where a whole solution was generated before the
labelling (phase 2) and the path is its beginning, the chain is the whole solution, and where its labeller gave up
before the first step, too. A rating is an annotation "correct" on the candidate's step (null: value None) of the
annotator "prm800k/LABELER" (the first part of a UUID), or of the row where the labeller has no name. The row
without its texts and ratings is in the first chain's meta["row"].
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows, wording
from stepviz.steps import join
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem, Span

NAME = "prm800k"
CHOSEN, OTHER = "prm800k/chosen", "prm800k/alternative"
ORIGINS = (CHOSEN, OTHER)
JOINER = "\n\n"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ANSWER = re.compile(r"(?:^|\n)# Answer\n+(\S.*)\s*$")


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a shape keeps what both have."""

    candidates: str
    chosen: str
    human: str


OPENAI = _Shape("completions", "chosen_completion", "human_completion")
COMPACT = _Shape("candidates", "chosen", "human")


def looks(row: Mapping[str, Any]) -> bool:
    shape = _shape(row)
    return shape is COMPACT or (shape is OPENAI and isinstance(row["label"].get("steps"), list))


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """A row's chains, the chosen one first, and the ratings on them."""
    guessed = split or fields.split_of(path)
    repeats = fields.Occurrences()

    def build(row: rows.Row) -> SourceItem:
        return _Reader(row, split or row.split or guessed, repeats).item()

    return rows.items(path, build)


def _shape(row: Mapping[str, Any]) -> _Shape | None:
    if isinstance(row.get("label"), dict) and isinstance(row.get("question"), dict):
        return OPENAI
    first = row["steps"][0] if isinstance(row.get("steps"), list) and row["steps"] else None
    return COMPACT if isinstance(first, dict) and "candidates" in first else None


class _Reader:
    """One row on its way to an item."""

    def __init__(self, row: rows.Row, split: str | None, repeats: fields.Occurrences) -> None:
        shape = _shape(row.fields)
        if shape is None:
            raise fields.BadRow("neither 'question' and 'label', nor 'steps' with 'candidates': no row of PRM800K")
        self.row, self.raw, self.shape = row, row.fields, shape
        self.holder = self.raw["label"] if shape is OPENAI else self.raw
        self.asked = self.raw["question"] if shape is OPENAI else self.raw
        self.steps = [self._step(k, step) for k, step in enumerate(self._objects(), 1)]
        self.key = self._key(repeats)
        labeler = fields.maybe_text(self.raw, "labeler")
        self.annotator = f"{NAME}/{_short(labeler) if labeler else self.key}"
        gold = fields.maybe_text(self.asked, "ground_truth_answer")
        solution = fields.maybe_text(self.asked, "ground_truth_solution")
        question = fields.text(self.asked, "problem")
        self.problem = Problem(question, gold, solution, NAME, self.key, split)

    def _key(self, repeats: fields.Occurrences) -> str:
        """The row's id; OpenAI's rows have none: labeller and time, else the content, tell them apart."""
        if self.shape is COMPACT:
            key = fields.text(self.raw, "id")
            if repeats.number(key) > 1:
                raise fields.BadRow(f"the id {key!r} stands already on a line before")
            return key
        return repeats.key(json.dumps(self.raw, sort_keys=True))

    def _objects(self) -> list[dict[str, Any]]:
        """The labelled steps; none where a whole solution was given up before its first one."""
        return [] if self.holder.get("steps") == [] and self._pre_generated() else fields.objects(self.holder, "steps")

    def _step(self, k: int, step: dict[str, Any]) -> dict[str, Any]:
        """A checked step: candidates with text and rating, a chosen index in range, a human's text or null."""
        try:
            candidates = fields.need(step, self.shape.candidates, list)
            for j, candidate in enumerate(candidates):
                if type(candidate) is not dict:
                    raise fields.BadRow(f"candidate {j} must be an object, this is {fields.kind_of(candidate)}")
                fields.text(candidate, "text")
                if candidate.get("rating") not in (1, 0, -1, None) or type(candidate.get("rating")) in (bool, float):
                    raise fields.BadRow(f"the rating of candidate {j} is {candidate['rating']!r}: not 1, 0, -1 or null")
            if step.get(self.shape.chosen) is not None:
                fields.whole(step, self.shape.chosen, 0, len(candidates) - 1)
            human = step.get(self.shape.human)
            if human is not None:
                fields.text(human if type(human) is dict else step, "text" if type(human) is dict else self.shape.human)
        except fields.BadRow as reason:
            raise fields.BadRow(f"step {k}: {reason}") from None
        return step

    def item(self) -> SourceItem:
        path = self._path()
        chains, annotations = [], []
        if path or not self.steps:
            chains.append(self._chosen_chain(path))
        trunk = chains[0] if chains else None
        for k, (step, taken) in enumerate(zip_longest(self.steps, path), 1):
            if k > len(path) + 1:
                raise fields.BadRow(f"step {k} follows step {len(path) + 1}, at which nothing was chosen")
            for j, candidate in enumerate(step[self.shape.candidates]):
                if taken == j:
                    chain = trunk
                else:
                    chain = self._branch(path[: k - 1], candidate["text"], trunk, k, j, _answer(candidate))
                    chains.append(chain)
                if "rating" in candidate:
                    annotations.append(self._rating(chain, k, j, candidate["rating"]))
            if taken is not None and taken != "human" and step.get(self.shape.human) is not None:
                written = _human_text(step[self.shape.human])
                chains.append(self._branch(path[: k - 1], written, trunk, k, "human", None))
        if not chains:
            raise fields.BadRow("no step has a candidate or a text of its own")
        chains[0] = replace(chains[0], meta={**chains[0].meta, "row": self._skeleton(path)})
        return SourceItem(self.problem, tuple(chains), tuple(annotations), self.row.line)

    def _path(self) -> list[int | str]:
        """What each step of the chosen path is: a candidate's index or "human"; it ends where nothing was chosen.

        In phase 2 the last labelled step has nothing chosen, but its first candidate is the solution's own.
        """
        path: list[int | str] = []
        for step in self.steps:
            if step.get(self.shape.chosen) is not None:
                path.append(step[self.shape.chosen])
            elif step.get(self.shape.human) is not None:
                path.append("human")
            else:
                break
        whole = self._pre_generated()
        if whole and len(path) < len(self.steps) and len(path) < len(whole) and self._texts(path) == whole[: len(path)]:
            texts = [candidate["text"] for candidate in self.steps[len(path)][self.shape.candidates]]
            if whole[len(path)] in texts:
                path.append(texts.index(whole[len(path)]))
        return path

    def _pre_generated(self) -> list[str] | None:
        given = self.asked.get("pre_generated_steps")
        return None if given is None else fields.texts(self.asked, "pre_generated_steps")

    def _texts(self, path: list[int | str]) -> list[str]:
        human, candidates = self.shape.human, self.shape.candidates
        taken = zip(path, self.steps, strict=False)
        return [_human_text(step[human]) if j == "human" else step[candidates][j]["text"] for j, step in taken]

    def _chosen_chain(self, path: list[int | str]) -> Chain:
        parts, whole = self._texts(path), self._pre_generated()
        meta: dict[str, Any] = {"path": path}
        answer = None
        if path and path[-1] != "human":
            answer = _answer(self.steps[len(path) - 1][self.shape.candidates][path[-1]])
        if whole and whole[: len(path)] == parts:
            parts = whole
            answer = _answer({"text": parts[-1], "answer": self.asked.get("pre_generated_answer")})
        return self._chain(CHOSEN, self.key, parts, answer, meta)

    def _branch(
        self, path: list[int | str], text: str, trunk: Chain | None, k: int, j: int | str, answer: str | None
    ) -> Chain:
        parts = [*self._texts(path), text]
        chain = self._chain(OTHER, f"{self.key}/{k}/{j}", parts, answer, {"candidate": j})
        return replace(chain, parent=trunk.id, branch_step=k - 1) if trunk else chain

    def _chain(self, origin: str, key: str, parts: list[str], answer: str | None, meta: dict[str, Any]) -> Chain:
        text, spans = join(parts, JOINER)
        if answer is None:
            meta["partial"] = spans[-1].kind != "answer"  # the chain ends before its answer: nothing to grade
        else:
            meta["answer"] = answer
            spans = (*spans[:-1], Span(spans[-1].start, spans[-1].end, "answer"))
        return Chain(self.problem.id, origin, key, text, spans, "given/1", meta)

    def _rating(self, chain: Chain, k: int, j: int, rating: int | None) -> Annotation:
        key = f"{self.key}/{k}/{j}={rating}"
        return Annotation(chain.id, self.annotator, "correct", k, rating, key=key)

    def _skeleton(self, path: list[int | str]) -> dict[str, Any]:
        """The row with its texts and ratings taken out: `write` puts them back from chains and annotations."""
        raw = copy.deepcopy(self.raw)
        holder = raw["label"] if self.shape is OPENAI else raw
        asked = raw["question"] if self.shape is OPENAI else raw
        asked["problem"] = wording.difference(self.problem.question)
        whole = self._pre_generated()
        if whole and self._texts(path) == whole[: len(path)] and path:
            asked["pre_generated_steps"] = "chain"
        for step in holder["steps"]:
            for candidate in step[self.shape.candidates]:
                candidate["text"] = None
                if "rating" in candidate:
                    candidate["rating"] = None
            human = step.get(self.shape.human)
            if type(human) is dict:
                human["text"] = None
            elif human is not None:
                step[self.shape.human] = ""
        return raw


def _short(labeler: str) -> str:
    """A UUID's first part; a name is a name."""
    return labeler[:8] if _UUID.fullmatch(labeler) else labeler


def _answer(candidate: Mapping[str, Any]) -> str | None:
    """The final answer a candidate states: a field of its own, or behind "# Answer"."""
    given = candidate.get("answer")
    if isinstance(given, str) and given.strip():
        return given.strip()
    found = _ANSWER.search(candidate["text"])
    return found[1].strip() if found else None


def _human_text(human: Any) -> str:
    return human["text"] if isinstance(human, dict) else human


def write(items: Iterable[SourceItem]) -> Iterator[dict[str, Any]]:
    """The rows of items that `read` made; an item may bring several rows' chains, in any order."""
    for item in items:
        by_row: dict[str, list[Chain]] = {}
        for chain in item.chains:
            if chain.origin in ORIGINS:
                by_row.setdefault(row_key(chain), []).append(chain)
        ratings = {
            (a.chain_id, a.step): a.value
            for a in item.annotations
            if a.annotator.startswith(f"{NAME}/") and not a.undone
        }
        for chains in by_row.values():
            if any("row" in chain.meta for chain in chains):
                yield _row_of(item.problem.question, chains, ratings)


def _row_of(question: str, chains: list[Chain], ratings: Mapping[tuple[str, int], int | None]) -> dict[str, Any]:
    raw = copy.deepcopy(next(chain.meta["row"] for chain in chains if "row" in chain.meta))
    shape = OPENAI if "label" in raw else COMPACT
    holder, asked = (raw["label"], raw["question"]) if shape is OPENAI else (raw, raw)
    asked["problem"] = wording.restore(question, asked["problem"])
    trunk = next((chain for chain in chains if chain.origin == CHOSEN), None)
    path = trunk.meta["path"] if trunk else []
    if trunk and asked.get("pre_generated_steps") == "chain":
        asked["pre_generated_steps"] = list(trunk.steps)
    places: dict[tuple[int, int | str], Chain] = {(k, taken): trunk for k, taken in enumerate(path, 1) if trunk}
    places |= {(chain.n, chain.meta["candidate"]): chain for chain in chains if chain.origin == OTHER}
    for k, step in enumerate(holder["steps"], 1):
        for j, candidate in enumerate(step[shape.candidates]):
            chain = places[k, j]
            candidate["text"] = chain.steps[k - 1]
            if "rating" in candidate:
                candidate["rating"] = ratings.get((chain.id, k))
        human = step.get(shape.human)
        if human is not None:
            written = places[k, "human"].steps[k - 1]
            step[shape.human] = {**human, "text": written} if isinstance(human, dict) else written
    return raw


def row_key(chain: Chain) -> str:
    """Which row of the file a chain belongs to."""
    return chain.key if chain.origin == CHOSEN else chain.key.rsplit("/", 2)[0]


def row_of(problem: Problem, chain: Chain, ratings: Mapping[int, int | None], who: str, verdict: str) -> dict[str, Any]:
    """Any chain as a row of OpenAI's shape: its steps as the only candidates, rated by one person."""
    right = "solution" if verdict == "correct" else "give_up"
    finish_reason = "found_error" if -1 in ratings.values() else right
    rated = [{"text": text, "rating": ratings.get(k), "flagged": None} for k, text in enumerate(chain.steps, 1)]
    steps = [{"completions": [one], "human_completion": None, "chosen_completion": 0} for one in rated]
    question = {
        "problem": problem.question,
        "ground_truth_solution": problem.solution,
        "ground_truth_answer": problem.answer,
        "pre_generated_steps": list(chain.steps),
    }
    label = {"steps": steps, "total_time": None, "finish_reason": finish_reason}
    return {"labeler": who, "timestamp": None, "question": question, "label": label}
