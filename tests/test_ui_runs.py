"""The Runs page without a browser: cost, results, notes and log of a run, and how the list is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from db.store import Store
from db.values import RunState
from stepviz import run_report
from stepviz.cli import app as commands
from stepviz.ui.runs import LISTED, At, Runs, at_of
from stepviz.ui.views import place
from stepviz.ui.workbench import Workbench
from tests.ui_cases import SAMPLING, Filled


def ended(
    store: Store, kind: str, spec: Mapping[str, Any], progress: Mapping[str, Any] = {}, state: RunState = "done"
) -> int:
    run = store.add_run(kind, spec)
    store.claim_run("w", id=run)
    store.heartbeat(run, "w", progress)
    store.finish_run(run, state)
    return run


def page(store: Store, query: str = "") -> str:
    return Runs(Workbench(store)).page(query)


def links(html: str) -> list[str]:
    """Of what it made."""
    opened = html[html.index('class="rmore"') :].split(">Settings</span>")[0]
    return re.findall(r'<(?:li><)?a class="[^"]*" href="([^"]+)"', opened)


def listed(html: str) -> list[int]:
    return [int(n) for n in re.findall(r'data-run="(\d+)" tabindex', html)]


def test_an_opened_run_says_what_it_cost(store: Store) -> None:
    spent = {"sampled": 51_000, "read": 9_000, "seconds": 90.0}
    run = ended(store, "sample many", {"problems": ["p"] * 30, "sampling": SAMPLING.hash}, {"spent": spent})
    html = page(store, f"?run={run}")
    for value, name in (
        ("51,000", "tokens sampled"),
        ("9,000", "tokens read"),
        ("567", "tokens a second"),
        ("2 min", "at work"),
    ):
        assert f"<b>{value}</b><span>{name}</span>" in html
    assert '<span class="num r">51,000</span>' in html  # in its row


def test_a_run_from_before_costs_were_counted_says_what_it_knows(store: Store) -> None:
    drew = store.run(ended(store, "sample", {}, {"tokens": 700, "tokens_per_s": 50}))
    trained = store.run(ended(store, "train", {}, {"tokens": 9_000}))
    assert (run_report.cost_of(drew).sampled, run_report.cost_of(trained).trained) == (700, 9_000)
    assert run_report.cost_of(store.run(ended(store, "import", {}))).words() == ""
    assert "tokens" not in page(store, f"?run={ended(store, 'dataset', {})}").split('class="rmore"')[1]


def test_where_the_results_are(filled: Filled) -> None:
    store, ids = filled.bench.store, filled.ids
    problems = [row.id for row in store.problems(limit=20)]
    made = store.add_dataset("sums", "sft", {}, [{"prompt": "a", "completion": "b"}] * 3)
    scored = [f"/?chain={ids[name]}&amp;scorer=embedded%3Asorm" for name in ("wrong", "right")]
    for kind, spec, progress, expected in (
        ("sample", {"problems": [ids["problem"]]}, {}, [f"/?problem={ids['problem']}"]),
        ("sample many", {"problems": problems}, {}, [f"/?problem={id}" for id in problems[:12]]),
        ("measure", {"chains": [ids["wrong"]]}, {}, [f"/?chain={ids['wrong']}"]),
        ("score", {"chains": [ids["wrong"], ids["right"]], "model": "embedded:sorm"}, {}, [scored[0], *scored]),
        ("refine", {"chains": [ids["wrong"]]}, {}, ["/refine?run={run}"]),
        ("train", {"recipe": "sft"}, {"model": "mine@1"}, ["/train?run={run}"]),
        ("dataset", {"recipe": "sft"}, {"dataset": made.id}, [f"/datasets?dataset={made.id}"]),
        ("dataset", {"recipe": "sft"}, {}, []),
        ("import", {"format": "gsm8k", "path": "x"}, {"report": {"problems": 1}}, ["/?source=gsm8k"]),
    ):
        run = ended(store, kind, spec, progress)
        assert links(page(store, f"?run={run}")) == [address.format(run=run) for address in expected], kind
    many = store.runs(1, kind="sample")[0].id
    assert '<li class="dim">and 8 more</li>' in page(store, f"?run={many}")


def test_a_comparison_is_linked_with_its_settings(store: Store) -> None:
    asked = {"before": "embedded:base", "after": "embedded:student", "source": "gsm8k", "split": "test", "limit": 5}
    run = ended(store, "compare", asked | {"samples": 1, "k": 8, "sampling": "s"})
    (address,) = links(page(store, f"?run={run}"))
    assert address.startswith("/compare?before=embedded%3Abase&amp;after=embedded%3Astudent&amp;source=gsm8k")


def test_notes_and_a_long_log_and_hostile_words(filled: Filled) -> None:
    store, hostile = filled.bench.store, "<img src=x onerror=alert(1)>"
    note = "the memory of cuda was too small for 256 chains at once: it goes on with 128"
    run = ended(store, "score many", {"chains": [filled.ids["bad"]], "model": hostile}, {"notes": [note, hostile]})
    store.log(run, *(f"chain {i}: {hostile}" for i in range(2500)))
    html = page(store, f"?run={run}")
    assert f"<p>{note}</p>" in html
    assert "Log, 2,500 lines, the last 2,000 of them" in html
    assert "chain 2499:" in html
    assert "chain 499:" not in html
    assert "<img" not in html
    assert hostile.replace("<", "&lt;").replace(">", "&gt;") in html


def test_what_was_drawn_for_nothing_is_said_and_numbers_say_what_they_count(filled: Filled) -> None:
    """A measurement that found everything there has cost 0 tokens, which is known; its 8 is of continuations."""
    store, spent = filled.bench.store, {"sampled": 0, "read": 0, "seconds": 0.02}
    spec = {"chains": [filled.ids["wrong"]], "n": 8, "strategy": "adaptive"}
    html = page(store, f"?run={ended(store, 'measure', spec, {'spent': spent})}")
    for value, name in (("0", "tokens sampled"), ("0", "tokens read"), ("&lt; 0.1 s", "at work")):
        assert f"<b>{value}</b><span>{name}</span>" in html
    assert "<td>continuations of each prefix, at most</td><td>8</td>" in html
    every = {"chains": [filled.ids["wrong"]], "n": 8}
    assert "<td>continuations of each prefix</td><td>8</td>" in page(store, f"?run={ended(store, 'measure', every)}")
    assert "tokens sampled" not in page(store, f"?run={ended(store, 'score', every, {'spent': spent})}")


def test_runs_of_one_kind_are_told_apart(filled: Filled) -> None:
    """By the strategy, and by the chain where it is one alone; the settings begin with both, and link it."""
    store, ids = filled.bench.store, filled.ids
    chain = store.chain(ids["wrong"])
    name = f"chain {chain.number} of {place(store.problem(chain.chain.problem_id))}"
    told = {"done": 1, "total": 1, "unit": "chains"}
    adaptive = ended(store, "measure", {"chains": [ids["wrong"]], "engine": "e", "n": 8, "strategy": "adaptive"}, told)
    ended(store, "measure many", {"chains": list(ids.values()), "n": 8}, {"done": 64, "total": 64, "unit": "draws"})
    html = page(store, f"?run={adaptive}")
    assert f'<span class="num">adaptive · {name} · 1 of 1 chains</span>' in html
    assert '<span class="num">64 of 64 draws</span>' in html
    settings = html.split(">Settings</span>")[1]
    assert re.findall(r"<tr><td>([^<]*)</td>", settings)[:3] == [
        "strategy", "chain", "continuations of each prefix, at most",
    ]  # fmt: skip
    assert f'<td>chain</td><td><a class="link" href="/?chain={ids["wrong"]}">{name}</a></td>' in settings
    gone = ended(store, "measure", {"chains": ["not here"], "n": 8}, told)
    assert "<td>chain</td><td>not here</td>" in page(store, f"?run={gone}")


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_drew_nothing_offers_no_results_and_no_stale_note(filled: Filled, state: RunState) -> None:
    store, spec = filled.bench.store, {"chains": [filled.ids["wrong"]], "n": 8}
    nothing = ended(store, "measure", spec, {"note": "loading hf:a/b"}, state)
    html = page(store, f"?run={nothing}")
    assert "Results" not in html
    assert "loading" not in html
    told = CliRunner().invoke(commands, ["run", "show", str(nothing), "--db", store.url]).stdout
    assert "loading" not in told
    assert "results" not in told
    drew = ended(store, "measure", spec, {"done": 3, "total": 9, "spent": {"sampled": 90}}, state)
    assert links(page(store, f"?run={drew}")) == [f"/?chain={filled.ids['wrong']}"]


def test_a_strategy_a_refinement_and_a_training_at_work_say_all_that_is_known(filled: Filled) -> None:
    """Done and left, tokens a second, time left in the row; cost and where the results are where it is opened."""
    store, ids = filled.bench.store, filled.ids
    drew, learnt = {"sampled": 51_000, "read": 9_000, "seconds": 90.0}, {"trained": 51_000, "seconds": 90.0}
    for kind, spec, unit, spent, costs, link in (
        ("measure many", {"chains": [ids["wrong"]], "strategy": "backward"}, "chains", drew, ("sampled", "read"),
         f"/?chain={ids['wrong']}"),
        ("refine many", {"chains": [ids["wrong"]]}, "drafts", drew, ("sampled", "read"), "/refine?run={run}"),
        ("train", {"recipe": "sft"}, "updates", learnt, ("trained on",), "/train?run={run}"),
    ):  # fmt: skip
        run = store.add_run(kind, spec)
        store.claim_run("w", 3600, id=run)
        told = {"done": 212, "total": 600, "unit": unit, "tokens_per_s": 5120, "eta_s": 754, "spent": spent}
        store.heartbeat(run, "w", told, 3600)
        html = page(store, f"?run={run}")
        assert f"<b>212 of 600</b> {unit} · 5,120 tokens/s · 12:34 left" in html, kind
        for what in costs:
            assert f"<span>tokens {what}</span>" in html, kind
        assert links(html)[0] == link.format(run=run)


LOG = "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;title\x07\x9b5mkept\x08 \u202egnp.exe\r\nnext\tline"
PLAIN = "red \ufffd5mkept\ufffd \ufffdgnp.exe\nnext\tline"


def test_a_log_commands_neither_page_nor_terminal(filled: Filled) -> None:
    """Escape sequences go, other controls and turned text show as \ufffd; lines and tabs stay."""
    assert run_report.printable(LOG) == PLAIN
    store = filled.bench.store
    run = ended(store, "measure", {"chains": [filled.ids["wrong"]]}, {"notes": ["\x1b[31mnote"]}, "failed")
    store.log(run, LOG, "<script>alert(1)</script>")
    html = page(store, f"?run={run}")
    assert PLAIN in html
    assert "&lt;script&gt;alert(1)" in html
    told = CliRunner().invoke(commands, ["run", "show", str(run), "--db", store.url])
    assert PLAIN.split("\n")[0] in told.stdout
    listed = CliRunner().invoke(commands, ["run", "list", "--db", store.url])
    for text in (html, told.stdout, listed.stdout):
        assert not set(text) & set("\x1b\x9b\x08\x07"), text


def test_the_list_is_chosen_by_kind_and_state_and_goes_on(store: Store) -> None:
    samples = [ended(store, "sample", {}) for _ in range(LISTED + 5)]
    failed = ended(store, "measure many", {}, state="failed")
    assert listed(page(store)) == [failed, *samples[:5:-1]]
    assert f"1–{LISTED} of {LISTED + 6}" in page(store)
    older = page(store, f"?skip={LISTED}")
    assert listed(older) == samples[5::-1]
    assert 'href="/runs">Newer' in older
    assert "Older" not in older
    assert f'href="/runs?kind=sample&amp;skip={LISTED}">Older' in page(store, "?kind=sample")
    assert listed(page(store, "?state=failed&kind=measure")) == [failed]
    assert "No run of this kind in this state" in page(store, "?state=failed&kind=sample")
    opened = page(store, f"?kind=sample&run={failed}")
    assert listed(opened)[:2] == [failed, samples[-1]], "what the address opens is there, whatever is listed"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?run=12&kind=sample&state=done&skip=100", At(12, "sample", "done", 100)),
        ("?run=1;--&state=paused&skip=-5", At()),
        ("?run=²&skip=99999999999999", At()),
    ],
)
def test_an_address_may_be_written_by_anyone(store: Store, query: str, expected: At) -> None:
    assert at_of(query) == expected
    assert at_of(expected.query()) == expected
    assert "Runs" in page(store, query)
