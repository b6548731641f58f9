"""What a refiner writes, as chains of the store: recalled where they are there, drawn and stored where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.values import ChainRow
from stepviz import final_answer, refinement
from stepviz.answers import grade_many
from stepviz.engines import Engine
from stepviz.job import Job
from stepviz.refine_progress import Progress
from stepviz.refinement import Ask, Refinement
from stepviz.refining import refine_prompt
from stepviz.steps import rule_id, segment
from stepviz.types import Chain, Completion, Problem, Request, Sampling, digest, prefix_hash

ORIGIN = "refinement"


@dataclass
class Writer:
    """refinement.Write for a chunk of drafts. Equal prompts of equal drafts are decoded once and are a chain each."""

    job: Job
    refiner: Engine
    sampling: Sampling
    suffix: bool
    rows: Sequence[ChainRow]  # the drafts
    problems: Mapping[str, Problem]
    progress: Progress
    found: dict[str, Chain] = field(default_factory=dict)  # by its id
    ended: list[tuple[int, Completion]] = field(default_factory=list)

    def __call__(self, asks: Sequence[Ask]) -> list[Refinement]:
        ids = [self.chain_id(ask) for ask in asks]
        known = {id: self.job.store.chain(id) for id in dict.fromkeys(ids)}
        self.found |= {id: row.chain for id, row in known.items() if row is not None}
        missing = {id: ask for id, ask in zip(ids, asks, strict=True) if id not in self.found}
        errors = self._draw(missing) if missing else {}
        return [self._read(ask, id, errors) for ask, id in zip(asks, ids, strict=True)]

    def chain(self, i: int, made: Refinement) -> Chain:
        """The chain that draft i's refinement is."""
        prompt = refine_prompt(self._problem(i).question, self.rows[i].chain.steps, made.bad)
        return self.found[self.chain_id(Ask(i, made.kind, made.bad, made.j, prompt))]

    def chain_id(self, ask: Ask) -> str:
        return Chain(self.rows[ask.draft].chain.problem_id, ORIGIN, self._key(ask), "", (), "").id

    def _key(self, ask: Ask) -> str:
        draft, target = self.rows[ask.draft].chain.id, "suffix" if self.suffix else "begun"
        of = (draft, prefix_hash(ask.prompt), self.refiner.model_id, self.sampling.hash, target)
        return f"{digest(*of)}/{ask.j}"

    def _problem(self, i: int) -> Problem:
        return self.problems[self.rows[i].chain.problem_id]

    def _draw(self, missing: Mapping[str, Ask]) -> dict[str, str]:
        """Fills `found`; gives chain id → why it could not be drawn."""
        groups: dict[tuple[str, int], list[tuple[str, Ask]]] = {}
        for id, ask in missing.items():
            seed = ask.seed(self._problem(ask.draft).question, self.refiner.model_id, self.sampling)
            groups.setdefault((ask.prompt, seed), []).append((id, ask))
        asked, errors = list(groups.values()), {}
        meter = self.progress.drawing(len({ask.draft for ask in missing.values()}), len(asked))

        def flush(done: int, tokens: int) -> None:
            ended, self.ended = self.ended, []
            errors.update({id: done.error for i, done in ended if done.error for id, _ in asked[i]})
            self._store([(ask, done) for i, done in ended if not done.error for _, ask in asked[i]])
            meter.batch(done, tokens)

        self.refiner.generate(
            [Request(prompt + self._begun(asks[0][1]), seed=seed) for (prompt, seed), asks in groups.items()],
            self.sampling,
            on_batch=flush,
            on_completion=lambda i, done: self.ended.append((i, done)),
            cancelled=self.job.cancelled,
        )
        flush(len(asked), meter.tokens)
        meter.end()
        return errors

    def _begun(self, ask: Ask) -> str:
        return "" if self.suffix else refinement.kept(ask, self.rows[ask.draft].chain.steps)

    def _store(self, drawn: Sequence[tuple[Ask, Completion]]) -> None:
        rule = self.sampling.style.step_rule
        read = [(ask, refinement.read(ask, done, rule, self.rows[ask.draft].chain.steps)) for ask, done in drawn]
        pairs = [(self._problem(ask.draft).answer, _judged(made)) for ask, made in read]
        verdicts = grade_many(pairs, self.sampling.style.answer_rule)
        chains = [self._chain(ask, made, rule) for ask, made in read]
        self.job.store.add_chains([(c, v, None) for c, v in zip(chains, verdicts, strict=True)])
        self.found |= {chain.id: chain for chain in chains}

    def _chain(self, ask: Ask, made: Refinement, rule: str) -> Chain:
        draft = self.rows[ask.draft].chain
        meta = {
            "bad": ask.bad,
            "refiner": self.refiner.model_id,
            "sampling": self.sampling.hash,
            "j": ask.j,
            "finish_reason": made.finish_reason,
            "tokens": made.tokens,
            "marks": made.marks,
        }
        spans = segment(made.text, rule, cut_off=made.finish_reason == "length")
        return Chain(draft.problem_id, ORIGIN, self._key(ask), made.text, spans, rule_id(rule), meta, parent=draft.id)

    def _read(self, ask: Ask, id: str, errors: Mapping[str, str]) -> Refinement:
        if id in errors:
            return Refinement(ask.kind, ask.bad, "", (), "error", 0, ask.j, error=errors[id])
        chain, meta = self.found[id], self.found[id].meta
        return Refinement(
            ask.kind, ask.bad, chain.text, chain.steps, meta["finish_reason"], meta["tokens"], ask.j, meta["marks"]
        )


def _judged(made: Refinement) -> str:
    """What the grader sees: of a text that the token limit cut off, no more than the answer it states completely."""
    return final_answer.complete(made.text) if made.finish_reason == "length" else made.text
