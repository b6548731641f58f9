"""What Explore's buttons do: start a run, or write a person's decision. Reads are in `views` and `view_chain`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from db.values import ChainRow, ProblemRow
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.steps import cut_id, merge, rule_id, segment, split
from stepviz.types import Span
from stepviz.ui import render_dialogs
from stepviz.ui.rows import ChainPage
from stepviz.ui.status import stop
from stepviz.ui.workbench import MEASURE_N, MORE_N, SAMPLE_N, Workbench


@dataclass(frozen=True, slots=True)
class Done:
    """said: a line for the reader; chain: another chain to open; again: the steps' dialog stays open."""

    said: str = ""
    chain: str = ""
    again: bool = False


Dialog = Callable[[ChainPage, ChainRow, Mapping[str, Any]], str]
Write = Callable[[Workbench, ProblemRow | None, ChainRow | None, Mapping[str, Any], str], Done]


def sample(bench: Workbench, problem: ProblemRow | None, _c: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    """N more chains from the bare question."""
    n = _natural(sent.get("n"), SAMPLE_N, most=256)
    jobs.start(bench.store, "sample", bench.drawing() | {"problems": [_some(problem).id], "add": n})
    return Done()


def measure(bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    """Every prefix of the chain to MEASURE_N continuations; once it has them, as many more. Or by a strategy."""
    spec = bench.drawing() | {"chains": [_some(chain).chain.id]}
    strategy = str(sent.get("strategy") or "")
    if not strategy:
        jobs.start(bench.store, "measure", spec | {"add" if sent.get("again") else "n": MEASURE_N})
        return Done()
    spec |= {"strategy": strategy, "n": _natural(sent.get("n"), MEASURE_N, most=256)}
    if strategy == "adaptive" and sent.get("scorer"):
        spec["scorer"] = str(sent["scorer"])[:500]
    jobs.start(bench.store, "measure", spec)
    return Done()


def more(bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    """MORE_N continuations of one prefix beyond those it has."""
    spec = {"chains": [_some(chain).chain.id], "steps": [_step(chain, sent)]}
    n = _natural(sent.get("n"), MORE_N, most=1024)
    jobs.start(bench.store, "measure", bench.drawing() | spec | {"add": n})
    return Done()


def branch(bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], who: str) -> Done:
    """New chains from a step as it is, or as it was edited."""
    row, step = _some(chain), _step(chain, sent)
    spec = bench.drawing() | {"chain": row.chain.id, "step": step, "n": _natural(sent.get("n"), 4, most=64)}
    text = sent.get("text")
    if text is None:
        jobs.start(bench.store, "continue", spec)
    elif not str(text).strip():
        raise StepvizError("The edited step is empty: write it, or continue from the step before.")
    else:
        jobs.start(bench.store, "branch", spec | {"text": str(text)[:20_000], "author": who})
    return Done("New chains will join the list.")


def override(
    bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], who: str
) -> Done:
    """A person's verdict above the grader's."""
    value = sent.get("value")
    if value not in ("correct", "wrong", "unknown"):
        raise StepvizError("Choose right, wrong or cannot judge.")
    bench.store.override_verdict(_some(chain).chain.id, value, str(sent.get("reason", ""))[:2000], who)
    return Done("Verdict changed. The grader's is kept beneath it.")


def withdraw(
    bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, _sent: Mapping[str, Any], who: str
) -> Done:
    """A person's verdict taken back: the one before it stands again, at last the grader's."""
    row = _some(chain)
    author = row.verdict.grader.removeprefix("person:")
    if author != who:
        raise StepvizError(f"This verdict is {author}'s: only its author can take it back. You can override it.")
    bench.store.withdraw_verdict(row.chain.id, who)
    return Done("Your verdict is taken back.")


def resegment(
    bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], _w: str
) -> Done:
    """The chain cut by another rule."""
    row = _some(chain)
    rule = str(sent.get("rule", ""))
    cut_off = row.chain.meta.get("finish_reason") == "length"
    return _cut(bench, row, segment(row.chain.text, rule, cut_off=cut_off), rule_id(rule), sent)


def merge_steps(
    bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], _w: str
) -> Done:
    row = _some(chain)
    step = _step(chain, sent)
    if not 1 <= step < row.chain.n:
        raise StepvizError("There is no step below to merge with.")
    return _cut(bench, row, merge(row.chain.spans, step), "hand/1", sent)


def split_step(
    bench: Workbench, _p: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any], _w: str
) -> Done:
    row = _some(chain)
    step, offset = _step(chain, sent), _natural(sent.get("offset"), 0, most=1_000_000)
    return _cut(bench, row, split(row.chain.text, row.chain.spans, step, offset), "hand/1", sent)


def _cut(bench: Workbench, row: ChainRow, spans: tuple[Span, ...], rule: str, sent: Mapping[str, Any]) -> Done:
    """The new cut, if the page shows the present one; labels go with their steps, and the page says so."""
    if sent.get("of") not in (None, cut_id(row.chain.spans)):
        raise StepvizError("This chain was cut another way meanwhile: open its steps again.")
    moved = bench.store.set_spans(row.chain.id, spans, rule, was=row.chain.spans)
    said = f"{moved} labels moved with their steps." if moved > 1 else "1 label moved with its step." if moved else ""
    return Done(said, again=True)


def cancel(bench: Workbench, _p: ProblemRow | None, _c: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    return Done(stop(bench, _natural(sent.get("run"), 0), by_key="key" in sent))


def resume(bench: Workbench, _p: ProblemRow | None, _c: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    jobs.resume(bench.store, _natural(sent.get("run"), 0))
    return Done()


def dismiss(bench: Workbench, _p: ProblemRow | None, _c: ChainRow | None, sent: Mapping[str, Any], _w: str) -> Done:
    bench.dismissed.add(_natural(sent.get("run"), 0))
    return Done()


def _show_step(show: Callable[[ChainPage, Any], str]) -> Dialog:
    def dialog(page: ChainPage, _chain: ChainRow, sent: Mapping[str, Any]) -> str:
        return show(page, page.rows[min(_natural(sent.get("step"), 0), len(page.rows) - 1)])

    return dialog


def _show_cuts(_page: ChainPage, row: ChainRow, _sent: Mapping[str, Any]) -> str:
    return render_dialogs.steps(row.chain.text, row.chain.spans, row.chain.rule, row.number)


DIALOGS: dict[str, Dialog] = {
    "verdict": lambda page, _chain, _sent: render_dialogs.verdict(page),
    "edit": _show_step(render_dialogs.edit),
    "continue": _show_step(render_dialogs.go_on),
    "continuations": _show_step(render_dialogs.continuations),
    "spans": _show_cuts,
}
MEASURING = ("measure", "more", "branch")  # continue a chain, so they draw with the model that measures it

WRITES: dict[str, Write] = {
    "sample": sample,
    "measure": measure,
    "more": more,
    "branch": branch,
    "override": override,
    "withdraw": withdraw,
    "resegment": resegment,
    "merge": merge_steps,
    "split": split_step,
    "cancel": cancel,
    "resume": resume,
    "dismiss": dismiss,
}


def _some(row: Any) -> Any:
    if row is None:
        raise StepvizError("Open a problem and a chain first.")
    return row


def _step(chain: ChainRow | None, sent: Mapping[str, Any]) -> int:
    step = _natural(sent.get("step"), 0)
    if step > _some(chain).chain.n:
        raise StepvizError(f"This chain has no step {step}: it was cut another way meanwhile.")
    return step


def _natural(value: Any, default: int, most: int = 2**53) -> int:
    """A number as the browser sends it."""
    text = str(value if value is not None else default)
    if not (text.isascii() and text.isdigit()) or len(text) > 16:
        raise StepvizError(f"{text[:40]!r} is not a number.")
    return min(int(text), most)
