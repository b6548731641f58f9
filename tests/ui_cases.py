"""A small store that the UI's tests look at: one measured chain by hand, real-looking neighbours, hostile texts."""

from __future__ import annotations

from dataclasses import dataclass

from db.store import Store
from db.values import ModelRow
from stepviz.steps import rule_id, segment
from stepviz.types import Annotation, Chain, Continuation, Problem, Sampling, SourceItem, Verdict, prefix_hash
from stepviz.ui.address import Address
from stepviz.ui.rows import ChainPage
from stepviz.ui.view_chain import chain_page
from stepviz.ui.workbench import Workbench

QUESTION = "Maya buys 6 boxes of 24 candles and keeps 12. How many are for sale, at $2 each?"
WRONG = (
    "She buys 6 * 24 = 144 candles.\nShe keeps 12, so 144 - 12 = 122 are left.\nAt $2 each: 122 * 2 = 244.\n#### 244"
)
RIGHT = "6 * 24 = 144\n144 - 12 = 132\n132 * 2 = 264\n#### 264"
TEX = "Write $\\frac{1}{2}$ as a decimal."
HOSTILE = (
    '<img src=x onerror="document.title=\'pwned\'"> costs $5 and ${document.title="pwned"} at \\u0041 `tick` {{value}}'
)
HOSTILE_CHAIN = (
    "</div><script>document.title='pwned'</script>\n${document.title='pwned'} and `${1}` \\frac \\\\ \\`\n"
    "#### </span><img src=x onerror=\"document.title='pwned'\">"
)
MODEL = "embedded/student@0123456789ab"
SAMPLING = Sampling()
SUCCESSES = {0: 4, 1: 6, 2: 0, 3: 0}  # of 8 continuations after so many steps of WRONG
SORM, ORM = "tiny/sorm@aaaaaaaaaaaa", "tiny/orm@bbbbbbbbbbbb"
SCORES = {  # after each of the four steps of WRONG, and of RIGHT
    SORM: ((0.9, 0.6, 0.3, 0.05), (0.95, 0.9, 0.85, 0.97)),
    ORM: ((0.7, 0.55, 0.1, 0.02), (0.6, 0.7, 0.8, 0.88)),
}


def problem() -> Problem:
    return Problem(QUESTION, "264", source="embedded", key="embedded/test/1", split="test")


def chain(of: Problem, text: str, origin: str, key: str) -> Chain:
    return Chain(of.id, origin, key, text, segment(text), rule_id("line"))


def draws(of: Chain) -> list[Continuation]:
    """8 continuations of every prefix of WRONG but the finished one, as many right as SUCCESSES says."""
    found = []
    for step, right in SUCCESSES.items():
        for j in range(8):
            answer, verdict = ("264", "correct") if j < right else ("244", "wrong")
            text = f"so 132 * 2 = 264 from 144 and 132\n#### {answer}"
            found.append(
                Continuation(
                    of.problem_id, prefix_hash(of.prefix(step)), MODEL, SAMPLING.hash, j, j, text, "stop", 20, answer,
                    verdict, "", "stepviz/1",
                )
            )  # fmt: skip
    return found


def fill(store: Store) -> dict[str, str]:
    """Fills the store; gives the ids of what it put there."""
    own, tex, hostile = problem(), Problem(TEX, "0.5", source="math", key="m/1"), Problem(HOSTILE, "7", source="mine/x")
    wrong = chain(own, WRONG, MODEL, "a")
    right = chain(own, RIGHT, MODEL, "b")
    bad = chain(hostile, HOSTILE_CHAIN, "mine/<i>x</i>", "c")
    worked = chain(tex, "Half of $1$ is $\\frac{1}{2}$.\n\\[\\frac{1}{2} = 0.5\\]\n#### 0.5", "gpt", "d")
    label = Annotation(wrong.id, "ana", "correct", 2, -1, "144 - 12 is 132")
    store.add_model(ModelRow(MODEL, "generator", "embedded"))
    store.add_sampling(SAMPLING)
    store.add_items(
        [
            SourceItem(own, (wrong, right), (), 1),
            SourceItem(tex, (worked,), (), 2),
            SourceItem(hostile, (bad,), (), 3),
            *(
                SourceItem(Problem(f"A filler problem about {i} goats?", str(i), source="filler"), (), (), 4)
                for i in range(60)
            ),
        ],
        {
            wrong.id: Verdict("wrong", "244 and 264 are different numbers", "stepviz/1", "244"),
            right.id: Verdict("correct", "the same number", "stepviz/1", "264"),
            worked.id: Verdict("correct", "the same number", "stepviz/1", "0.5"),
        },
    )
    store.add_continuations(draws(wrong))
    store.add_annotation(label)
    return {
        "problem": own.id,
        "wrong": wrong.id,
        "right": right.id,
        "tex": tex.id,
        "hostile": hostile.id,
        "bad": bad.id,
    }


def add_scores(store: Store, ids: dict[str, str]) -> None:
    """An ORM's and a SORM's scores of both chains of the first problem, put there as a run would."""
    for model, role in ((ORM, "orm"), (SORM, "sorm")):
        store.add_model(ModelRow(model, role, f"hf:{role}"))
        for name, scores in zip(("wrong", "right"), SCORES[model], strict=True):
            store.add_scores(ids[name], model, scores)


@dataclass
class Filled:
    """A workbench on a filled store, and what `fill` put there."""

    bench: Workbench
    ids: dict[str, str]


def page(filled: Filled, chain: str = "wrong", **at: object) -> ChainPage:
    store, id_ = filled.bench.store, filled.ids[chain]
    row = store.chain(id_)
    problem = store.problem(row.chain.problem_id)
    return chain_page(filled.bench, Address(problem.id, id_, **at), problem, row)


def a_draw(j: int = 0, **fields: object) -> Continuation:
    key = {"prefix_hash": prefix_hash(""), "model_id": MODEL, "sampling_id": SAMPLING.hash}
    done = {"seed": j, "text": "#### 264", "finish_reason": "stop", "tokens": 4, "answer": "264", "verdict": "correct"}
    return Continuation(**({"problem_id": problem().id, "j": j} | key | done | fields))
