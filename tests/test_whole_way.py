"""The whole way of a new user, in a browser: the app as its command starts it, the shipped student, real GSM8K rows."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import chromium

pytestmark = chromium.MARKS
ROOT = Path(__file__).parents[1]
SLOW = 120_000  # ms, for what the worker draws on a busy machine


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[str]:
    """`python app.py` on a new store into which GSM8K's test problems and GPT-3's chains were imported."""
    folder = tmp_path_factory.mktemp("whole")
    url = f"sqlite:///{folder}/stepviz.db"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "app.py"), "--db", url, "--port", str(port), "--device", "cpu"]
    with (folder / "app.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    _wait_for(f"http://127.0.0.1:{port}/", process, folder / "app.log")
    for format, name in (("gsm8k", "test.jsonl"), ("gsm8k-solutions", "example_model_solutions.jsonl")):
        words = [sys.executable, "-m", "stepviz", "import", format, str(shared_data / "gsm8k" / name), "--db", url]
        done = subprocess.run([*words, "--json"], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["refused"] == []
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(120)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_the_first_screen_is_an_embedded_problem_sampled_and_measured(page: Page, app: str):
    page.goto(app)
    expect(page.locator("#chains .crow[data-chain]")).to_have_count(8)
    expect(page.locator("#view .row.q .mv .kn")).to_contain_text("/8")
    expect(page.locator("#view")).to_contain_text("####")
    expect(page.get_by_role("link", name="Import your own file").first).to_be_attached()


def test_from_gsm8k_to_a_measured_pit_and_a_shared_address(page: Page, app: str):
    page.set_default_timeout(SLOW)
    page.goto(f"{app}/?source=gsm8k-solutions&q=Janet")
    expect(page.locator("#view .row.q")).to_contain_text("Janet’s ducks lay 16 eggs per day.")
    expect(page.locator("#chains .crow[data-chain]")).to_have_count(4)
    page.locator("#chains .crow[data-chain]").nth(3).click()
    expect(page.locator("#view")).to_contain_text("A: 18")
    expect(page.locator("#chains .reach")).to_contain_text("embedded student's reach")
    _sample_until_one_is_wrong(page, app)
    page.keyboard.press("M")
    expect(page.locator("#view .row.q .mv .kn")).to_contain_text("/8", timeout=SLOW)
    expect(page.locator("#top header")).to_have_attribute("data-active", "0", timeout=SLOW)
    expect(page.locator("#view .row[data-i] .xx .ic").first).to_be_attached()
    expect(page.locator("#view .row.fault .tag.pit").first).to_be_visible()
    page.keyboard.press("j")
    shared, shown = page.url, page.locator("#view .vhead").get_attribute("data-chain")
    assert re.search(r"problem=.+chain=.+step=", shared)
    page.goto(f"{app}/runs")
    page.goto(shared)
    expect(page.locator(f"#view .vhead[data-chain='{shown}']")).to_be_visible()


def _sample_until_one_is_wrong(page: Page, app: str) -> None:
    """Opens a wrong chain of an embedded problem that had none yet; eight samples of some problems are all right."""
    for _ in range(8):
        page.goto(f"{app}/?source=embedded&result=unsampled")
        expect(page.locator("#chains")).to_contain_text("No chains yet")
        page.keyboard.press("s")
        expect(page.locator("#chains .crow[data-chain]")).to_have_count(8, timeout=SLOW)
        wrong = page.locator("#chains .crow[data-chain]:has(.ic.no)")
        if wrong.count():
            wrong.first.click()
            return
    raise AssertionError("64 samples of eight problems, and not one is wrong")


def test_my_traces_in_a_minute(page: Page, app: str, tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text('question,answer,response\n"What is 20 + 22?",42,"20 + 22 = 42\n#### 42"\n')
    page.set_default_timeout(SLOW)
    page.goto(f"{app}/import")
    page.locator("#form input[type=file]").set_input_files(file)
    expect(page.locator("#preview article")).to_have_count(1)
    page.locator("#preview [data-act=import]").click()
    expect(page.locator("#preview .phead")).to_contain_text("Imported", timeout=SLOW)
    page.get_by_role("link", name="Show in Explore").click()
    expect(page.locator("#view .row.q")).to_contain_text("What is 20 + 22?")
