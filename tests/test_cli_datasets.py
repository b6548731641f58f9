"""`dataset …` as a script and as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.store import Store, open_store
from tests import dataset_cases as cases
from tests.dataset_cases import SAMPLING
from tests.test_cli import run, value


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as opened:
        cases.school(opened)
        yield opened


def test_build_list_show_export(store: Store, tmp_path: Path) -> None:
    made = value(run(tmp_path, "dataset", "build", "self-explore", "--name", "pairs", "--json"))
    assert isinstance(made, dict)
    (known,) = store.datasets()
    assert made == {
        "id": known.id, "name": "pairs", "version": 1, "recipe": "self-explore", "format": "preference",
        "hash": known.hash, "rows": 6, "counts": known.counts, "dropped": known.dropped,
    }  # fmt: skip
    listed = value(run(tmp_path, "dataset", "list", "--json"))
    assert listed == [{key: made[key] for key in ("id", "name", "version", "recipe", "format", "rows", "hash")}]
    shown = value(run(tmp_path, "dataset", "show", str(known.id), "--rows", "2", "--start", "5", "--json"))
    assert isinstance(shown, dict)
    assert shown["preview"] == list(store.dataset_rows(known.id))[5:]
    assert shown["config"] == known.config
    out = value(run(tmp_path, "dataset", "export", str(known.id), "--format", "hf", "--out", "pairs", "--json"))
    assert out == {"id": known.id, "format": "hf", "path": "pairs", "rows": 6, "hash": known.hash}
    assert (tmp_path / "pairs" / "README.md").is_file()


def test_options_reach_the_recipe(store: Store, tmp_path: Path) -> None:
    words = ("--no-consistent", "--no-carry-back", "--no-balance", "--soft", "--k", "4", "--limit", "3",
             "--max-per-problem", "2", "--sampling", SAMPLING.hash[:8], "--part", "all", "--seed", "5")  # fmt: skip
    made = value(run(tmp_path, "dataset", "build", "sorm", *words, "--json"))
    assert isinstance(made, dict)
    config = store.dataset(made["id"]).config
    wanted = {"consistent": False, "carry_back": False, "balance": False, "soft": True, "k": 4, "limit": 3,
              "max_per_problem": 2, "sampling": SAMPLING.hash, "part": "all", "seed": 5, "plain": False}  # fmt: skip
    assert {key: config[key] for key in wanted} == wanted
    assert made["rows"] == 6
    every = value(run(tmp_path, "dataset", "build", "rft", "--keep", "0", "--split", "any", "--json"))
    assert isinstance(every, dict)
    config = store.dataset(every["id"]).config
    assert (config["keep"], config["split"]) == (None, None)


def test_a_person_reads_labels_beside_steps(store: Store, tmp_path: Path) -> None:
    built = run(tmp_path, "dataset", "build", "sorm", "--soft", "--no-balance")
    assert "18 rows" in built.stdout
    assert "labels: " in built.stdout
    shown = run(tmp_path, "dataset", "show", "1", "--start", "1", "--rows", "1").stdout
    assert "+ 3/8   2+1=3" in shown
    assert "− 0/8   3-1=2" in shown
    listed = run(tmp_path, "dataset", "list").stdout
    assert "sorm v1" in listed


def test_a_list_of_none_says_how_to_build_one(tmp_path: Path) -> None:
    assert "dataset build sft" in run(tmp_path, "dataset", "list").stdout
    assert value(run(tmp_path, "dataset", "list", "--json")) == []


def test_a_store_of_test_problems_alone_says_that_they_never_train(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/only.db"
    with open_store(url) as store:
        cases.school(store, split="test")
    result = run(tmp_path, "dataset", "build", "stepwise", "--annotator", "ana", "--db", url)
    assert result.returncode == 1
    assert "Test problems never enter a training set" in result.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("build", "nothing"), "no recipe 'nothing'; there are: sft"),
        (("build", "sft", "--k", "4"), "sft has no option 'k'"),
        (("build", "stepwise"), "--annotator NAME"),
        (("build", "orm", "--split", "test"), "there are: school/train"),
        (
            ("build", "refine-local", "--split", "trian"),
            "there is no problem of split 'trian' here; there are: school/train",
        ),
        (("build", "orm", "--style", "chat"), "chat template"),
        (("show", "9"), "no dataset 9"),
        (("export", "9", "--out", "x"), "no dataset 9"),
        (("export", "1", "--format", "csv", "--out", "x"), "no format 'csv'"),
    ],
)
def test_mistakes_are_one_line_on_stderr(words: tuple[str, ...], said: str, store: Store, tmp_path: Path) -> None:
    result = run(tmp_path, "dataset", *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
