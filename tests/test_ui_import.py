"""What the Import page says, without a browser: the guess, the preview, the report, in one and in many."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.import_report import ImportReport
from stepviz.importing import import_path
from stepviz.ui import render_import
from stepviz.ui.status import run_line
from stepviz.ui.view_import import form_of, import_result, preview_of
from tests.source_rows import CHOICE, GOOD, LABELLED, lines
from tests.store_cases import new_url


def page(store: Store, path: Path, format: str, report: ImportReport | None, error: str = "") -> str:
    """The report's HTML of a run that ended so."""
    id_ = store.add_run("import", {"format": format, "path": str(path)})
    claimed = store.claim_run("w")
    assert claimed is not None
    if report:
        store.heartbeat(id_, "w", {"report": report.counts()})
    for refusal in report.refused if report else ():
        store.log(id_, str(refusal))
    store.finish_run(id_, "failed" if error else "done", error or None, worker="w")
    row = store.run(id_)
    return render_import.report(run_line(row), import_result(row, store.log_lines(id_)))


def test_a_report_in_one_and_in_many(tmp_path: Path):
    with open_store(new_url(tmp_path)) as store:
        path = lines(tmp_path / "a.jsonl", LABELLED, {"problem": "cut off"})
        html = page(store, path, "processbench", import_path(store, "processbench", path))
        assert '<b class="num">2</b><span>rows</span>' in html
        assert '<b class="num">1</b><span>new problem</span>' in html
        assert '<b class="num">1</b><span>refused row</span>' in html
        assert "<p>1 chain: 1 wrong.</p>" in html
        assert ">2</td><td>the field 'steps' is missing" in html.replace("&#x27;", "'").replace("&#39;", "'")
        assert "?source=processbench" in html
        path = lines(tmp_path / "b.jsonl", GOOD, CHOICE)
        html = page(store, path, "gsm8k", import_path(store, "gsm8k", path))
        assert "correct" not in html  # nothing is said of chains where there are none
        assert "new chain" not in html


def test_a_run_of_an_older_version_is_still_shown(tmp_path: Path):
    with open_store(new_url(tmp_path)) as store:
        id_ = store.add_run("import", {"format": "table", "path": "traces.csv"})
        store.claim_run("w")
        store.heartbeat(id_, "w", {"report": {"rows": 3, "problems_new": 3, "refused": 0, "correct": 0}})
        store.finish_run(id_, "done", worker="w")
        result = import_result(store.run(id_), [])
        assert result.counts == (("3", "rows"), ("3", "new problems"))
        assert (result.said, result.source) == ((), "mine/traces")


def test_a_failed_import_names_the_file_and_not_where_the_app_keeps_it(tmp_path: Path):
    with open_store(new_url(tmp_path)) as store:
        path = tmp_path / "upload" / "wrong.jsonl"
        html = page(store, path, "gsm8k", None, f"{path}: none of 9 rows could be read as gsm8k.\n{path}:1: no answer")
        assert "wrong.jsonl: none of 9 rows could be read as gsm8k." in html
        assert str(tmp_path) not in html


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20), "a.csv: this is a binary file, not JSONL"),
        (b"question,question\n", "a.csv: two columns are named 'question'"),
        (b"question,answer\n1,2,3\n", "a.csv: no row can be read; line 2: 3 fields, but the header names 2"),
        (b"question,answer\n", "a.csv: there is no row in it"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_says_why_once(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert form_of(str(path), uploaded=True).error.startswith(reason)
    assert form_of(str(path)).error.startswith(f"{tmp_path}/{reason}")


def test_columns_inside_columns_can_be_chosen(tmp_path: Path):
    row = {"item": {"asked": "2 + 3?", "gold": "5"}, "response": "#### 5"}
    form = form_of(str(lines(tmp_path / "a.jsonl", row)))
    assert form.columns == ("item", "response", "item.asked", "item.gold")
    assert form.samples is not None
    assert form.samples["item.asked"] == "2 + 3?"
    assert form.mapping is not None
    assert (form.mapping.question, form.mapping.answer) == (None, "item.gold")
    assert "say which of item, response it is" in preview_of(form).error
    chosen = form_of(form.path, changes={"question": "item.asked", "response": "response"})
    (entry,) = preview_of(chosen).entries
    assert (entry.problem.question, entry.problem.answer) == ("2 + 3?", "5")
    html = render_import.preview(chosen, preview_of(chosen))
    assert "Import 1 row<" in html
    assert "all of it, read as table" in html
    assert "1 step<" in html


def test_where_the_first_rows_are_refused_the_first_good_one_is_shown(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", *[{"question": "cut off"}] * 40, GOOD)
    form = form_of(str(path), "gsm8k")
    preview = preview_of(form)
    assert (len(preview.entries), [item.line for item in preview.further]) == (6, [41])
    html = render_import.preview(form, preview)
    assert "Import 41 rows" in html
    assert "None of the first rows would come in as gsm8k" in html
    wrong = form_of(str(lines(tmp_path / "b.jsonl", *[CHOICE] * 9)), "gsm8k")
    html = render_import.preview(wrong, preview_of(wrong))
    assert "The file looks like aqua: choose that under 2." in html
    assert 'data-act="import"' not in html


def test_many_lines_refused_for_one_reason_are_one_row(tmp_path: Path):
    with open_store(new_url(tmp_path)) as store:
        path = lines(tmp_path / "a.jsonl", *[{"question": "cut off"}] * 12, "text", GOOD)
        report = import_path(store, "gsm8k", path)
        id_ = store.add_run("import", {"format": "gsm8k", "path": str(path)})
        for refusal in report.refused:
            store.log(id_, str(refusal))
        jobs.cancel(store, id_)
        jobs.resume(store, id_, worker=False)
        store.log(id_, "taken up again by host:12:ab34cd")
        result = import_result(store.run(id_), store.log_lines(id_))
        assert result.refused == (
            ("1, 2, 3 and 9 more", "the field 'answer' is missing"),
            ("13", "a row must be a JSON object {…}, this is a text"),
        )


def test_no_gold_is_said_once(tmp_path: Path):
    form = form_of(str(lines(tmp_path / "a.jsonl", {"question": "Why?", "response": "So."})))
    html = render_import.preview(form, preview_of(form))
    assert '<span><span class="bad">no gold answer</span></span>' in html
