"""Builds: what the store holds becomes frozen, versioned rows; no test problem, nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.datasets import build
from stepviz.errors import StepvizError
from stepviz.recipes import MASK, RECIPES
from stepviz.types import Problem, Sampling, SourceItem, Verdict
from stepviz.world import embedded_problems
from tests import dataset_cases as cases
from tests.dataset_cases import GOOD, LOST, MODEL, SAMPLING, problem, text
from tests.store_cases import new_url
from training.embedded import training_set


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def school(store: Store) -> Store:
    cases.school(store)
    return store


def rows(store: Store, recipe: str, **config: object) -> list[dict]:
    return list(store.dataset_rows(build(store, recipe, config).id))


def test_sft_has_the_rows_it_always_had(store: Store):
    """The shipped student's training set: prompt, solution to the letter, origin; in the world's order."""
    problems = list(embedded_problems("train", 12))
    made = store.dataset(training_set(store, 12))
    assert list(store.dataset_rows(made.id)) == [
        {
            "prompt": p.question + "\n",
            "completion": p.solution,
            "origin": {"problem": p.id, "source": "embedded", "key": p.key},
        }
        for p in problems
    ]
    assert (made.name, made.recipe, made.format, made.n_rows) == ("embedded-train", "sft", "prompt-completion", 12)
    assert made.counts == {"problems": 12, "chains": 0, "sources": {"embedded": 12}}
    assert training_set(store, 12) == made.id
    store.add_items([SourceItem(p) for p in embedded_problems("train", 15)])
    assert training_set(store, 12) == made.id  # further problems change nothing


def test_the_same_recipe_on_the_same_data_is_the_same_version(school: Store):
    one = build(school, "sorm", {"seed": 3})
    assert build(school, "sorm", {"seed": 3}) == one
    assert build(school, "sorm", {"seed": 4}).version == 2
    cases.sample(school, cases.problem(2), *[text(GOOD, 2)] * 4)
    again = build(school, "sorm", {"seed": 3})
    assert (again.version, again.hash != one.hash) == (3, True)
    assert school.dataset(one.id) == one


@pytest.mark.parametrize("recipe", ["rft", "orm", "refine-global"])
def test_the_order_in_which_draws_ended_changes_no_dataset(recipe: str, store: Store, tmp_path: Path):
    """An engine's batches end as they will: the same draws in another store, or after a kill, are the same data."""
    said, made = [text(GOOD, 2), "2+3=5\n#### 5", "2+2=4\n#### 4", text(LOST, 2)], []
    (tmp_path / "other").mkdir()
    with open_store(new_url(tmp_path / "other")) as other:
        for there, ended in ((store, (0, 1, 2, 3)), (other, (2, 3, 0, 1))):
            cases.add(there, problem(2))
            cases.sample(there, problem(2), *said, ended=ended)
            made.append(build(there, recipe, {}))
    assert made[0].n_rows > 0
    assert made[0].hash == made[1].hash


LABELLED = ("stepwise", "human-pairs")  # of nobody's labels they make nothing


def test_what_each_recipe_makes_of_the_school(school: Store):
    made = {recipe: build(school, recipe, {}) for recipe in RECIPES if recipe not in LABELLED}
    assert {recipe: (d.n_rows, d.format) for recipe, d in made.items()} == {
        "sft": (6, "prompt-completion"),
        "rft": (6, "prompt-completion"),
        "orm": (18, "stepwise"),
        "balanced-orm": (12, "stepwise"),
        "sorm": (18, "stepwise"),
        "refine-global": (12, "prompt-completion"),
        "refine-local": (12, "prompt-completion"),
        "self-explore": (6, "preference"),
    }
    assert made["orm"].counts == {
        "problems": 6,
        "chains": 18,
        "sources": {"school": 18},
        "models": {MODEL: 18},
        "labels": {"1": 18, "0": 36},
    }
    assert made["balanced-orm"].dropped == {"a chain of the majority of its question": 6}
    (first, *_) = school.dataset_rows(made["self-explore"].id)
    assert set(first) == {"prompt", "chosen", "rejected", "origin"}


def test_sorm_labels_balanced_and_not(school: Store):
    a = 2
    raw = rows(school, "sorm", balance=False)[:3]
    assert [row["labels"] for row in raw] == [[1, 1, 1], [1, 0, 0, 0], [0, 0]]
    assert raw[1]["completions"] == text(LOST, a).split("\n")
    assert raw[1]["origin"]["model"] == MODEL
    assert raw[1]["origin"]["seed"] == cases.draw(problem(a), 1, "").seed
    soft = rows(school, "sorm", balance=False, soft=True)[1]
    assert (soft["k"], soft["n"]) == ([3, 0, 0, 0], [8, 8, 8, 0])
    # by hand, of each problem: length 1 has 2 positives and 1 negative, 2 has 1 and 2, 3 has 1 and 1, 4 has 0 and 1
    balanced = rows(school, "sorm")
    for length, kept in ((1, 6), (2, 6), (3, 6), (4, 0)):
        column = [row["labels"][length - 1] for row in balanced if len(row["labels"]) >= length]
        assert (column.count(1), column.count(0)) == (kept, kept)
    assert all(set(row["labels"]) != {MASK} for row in balanced)
    made = school.datasets()[0]
    assert sum(made.counts["labels"].values()) == sum(len(row["labels"]) for row in balanced)


def test_a_test_problem_stops_the_build_even_where_its_question_is_in_a_train_split(school: Store):
    before = school.datasets()
    twice = problem(2, split="test", source="exam")
    school.add_items([SourceItem(twice)])
    for recipe in ("sft", "orm", "sorm", "self-explore"):
        with pytest.raises(StepvizError, match=r"exam/test/2 is a test problem .*it also stands in school/train/2"):
            build(school, recipe)
    with pytest.raises(StepvizError, match="exam/test/2 is a test problem"):
        build(school, "sft", {"split": "test"})
    with pytest.raises(StepvizError, match="is a test problem"):
        build(school, "sft", {"split": None})
    assert school.datasets() == before
    made = build(school, "sft", {"test_overlap": "drop"})
    assert (made.n_rows, made.dropped) == (5, {"a problem that also is in a test split": 1})
    assert twice.id not in {row["origin"]["problem"] for row in school.dataset_rows(made.id)}
    with pytest.raises(StepvizError, match="gives no row"):
        build(school, "sft", {"split": "test", "test_overlap": "drop"})


def test_parts_are_by_problem_and_the_same_for_every_recipe(store: Store):
    cases.school(store, range(2, 42))
    parts = {}
    for recipe in ("sft", "orm"):
        parts[recipe] = {
            part: {row["origin"]["problem"] for row in rows(store, recipe, part=part, held_out=0.3)}
            for part in ("train", "held-out", "all")
        }
    assert parts["sft"] == parts["orm"]
    found = parts["sft"]
    assert found["train"] | found["held-out"] == found["all"]
    assert not found["train"] & found["held-out"]
    assert 4 <= len(found["held-out"]) <= 20  # of 40, at 0.3


def test_selection_by_source_limit_model_and_rows_a_problem(school: Store):
    other = problem(50, source="college")
    cases.add(school, other)
    school.add_items([SourceItem(other, (cases_chain(other),))], {})
    school.set_verdicts({cases_chain(other).id: Verdict("correct", "", "stepviz/1", "52")})
    assert len(rows(school, "orm")) == 19
    assert len(rows(school, "orm", source="college")) == 1
    assert len(rows(school, "orm", model="hand")) == 1
    assert len(rows(school, "orm", model=[MODEL])) == 18
    assert len(rows(school, "orm", sampling=SAMPLING.hash[:8])) == 18
    assert len(rows(school, "orm", limit=2)) == 6
    # the first draw of each problem is right, the other two are not; the college's chain by hand is its first
    first = rows(school, "orm", max_chains=1)
    assert ([row["labels"][-1] for row in first], len(rows(school, "orm", max_chains=2))) == ([1] * 7, 13)
    few = build(school, "orm", {"max_per_problem": 2})
    assert (few.n_rows, few.dropped) == (13, {"a row over the limit a problem": 6})
    with pytest.raises(StepvizError, match="There are chains of: embedded/student, hand"):
        build(school, "orm", {"model": "nobody"})
    with pytest.raises(StepvizError, match="no sampling begins"):
        build(school, "orm", {"sampling": "zzz"})


def cases_chain(of: Problem):
    from tests.store_cases import chain

    return chain(of, origin="hand", text="50+2=52\nA: 52")


def test_labels_of_people_and_the_oracle_arm(school: Store):
    chains = school.chains(problem(2).id)
    cases.label(school, chains[1].chain, 1, -1, None)
    made = build(school, "stepwise", {"annotator": "ana"})
    (row,) = school.dataset_rows(made.id)
    assert (row["labels"], row["origin"]["annotator"]) == ([1, 0, MASK, MASK], "ana")
    assert made.dropped["a chain without a label of this annotator"] == 17
    with pytest.raises(StepvizError, match="nobody called 'bob' labelled anything; there are: ana"):
        build(school, "stepwise", {"annotator": "bob"})
    with pytest.raises(StepvizError, match="whose labels"):
        build(school, "stepwise")
    *_, world = embedded_problems("train", 4)  # its reference solution has no mistake to repair
    cases.add(school, world)
    cases.sample(school, world, world.solution)
    oracle = build(school, "stepwise", {"oracle": True, "source": "embedded"})
    assert (oracle.name, oracle.config["oracle"]) == ("stepwise-oracle", True)
    (row,) = school.dataset_rows(oracle.id)
    assert set(row["labels"]) == {1}


def test_labels_of_people_can_be_balanced_at_each_prefix_length(school: Store):
    """Length 1: 1 and 1; length 2: 1 and 0, so it keeps none; length 3: one 0 alone."""
    chains = school.chains(problem(2).id)
    cases.label(school, chains[0].chain, 1, 1)
    cases.label(school, chains[1].chain, -1, None, -1)
    assert [row["labels"] for row in rows(school, "stepwise", annotator="ana", balance=True)] == [
        [1, MASK, MASK],
        [0, MASK, MASK, MASK],
    ]


def test_whose_rollouts_must_be_clear(school: Store):
    warm = Sampling(temperature=1.0)
    school.add_sampling(warm)
    school.add_continuations([cases.draw(problem(2), 0, "#### 9", "2+1=3\n", warm)])
    with pytest.raises(StepvizError, match=f"several models or samplings.*{warm.hash[:8]}"):
        build(school, "sorm")
    made = build(school, "sorm", {"rollout_sampling": SAMPLING.hash[:6]})
    assert made.config["rollout_model"] == MODEL
    assert made.config["rollout_sampling"] == SAMPLING.hash
    with pytest.raises(StepvizError, match="nothing that fits"):
        build(school, "sorm", {"rollout_model": "nobody"})
    # a second draw from the bare question is no measurement, and does not make it unclear
    assert build(school, "orm").n_rows == 18


@pytest.mark.parametrize(
    "recipe, config, said",
    [
        ("rorm", {}, "no recipe 'rorm'; there are: sft, rft, orm"),
        ("sft", {"k": 8}, "sft has no option 'k'; it has: branches"),
        ("sorm", {"k": "8"}, "k must be int, not '8'"),
        ("sorm", {"k": 0}, "k must be at least 1"),
        ("sorm", {"balance": 1}, "balance must be bool"),
        ("rft", {"distinct": "words"}, "distinct is one of equations, exact"),
        ("orm", {"part": "half"}, "part is one of all, train, held-out"),
        ("orm", {"held_out": 1}, "between 0 and 1"),
        ("orm", {"limit": 0}, "limit must be at least 1"),
        ("orm", {"style": "chat"}, "chat template"),
        ("orm", {"style": "none"}, "no prompt style"),
        ("sft", {"source": "nowhere"}, "no problem of source 'nowhere' split 'train' here; there are: school/train"),
    ],
)
def test_mistakes_say_what_to_do(school: Store, recipe: str, config: dict, said: str):
    with pytest.raises(StepvizError, match=said.replace("(", r"\(")):
        build(school, recipe, config)
    assert school.datasets() == []


def test_empty_results_say_what_is_missing(store: Store):
    with pytest.raises(StepvizError, match="import some first"):
        build(store, "sft")
    cases.add(store, problem(2))
    with pytest.raises(StepvizError, match=r"no chain.*Sample chains first"):
        build(store, "orm")
    with pytest.raises(StepvizError, match=r"measure first: .* --k 8"):
        build(store, "sorm")
    cases.sample(store, problem(2), text(LOST, 2), text(GOOD, 2))
    with pytest.raises(StepvizError, match=r"measure first: .* --k 4"):
        build(store, "self-explore")
    cases.measure(store, problem(2), "2+1=3\n", "#### 4", "#### 9", k=4)
    with pytest.raises(StepvizError, match=r"not measured with enough.*Measure first.*--k 8"):
        build(store, "refine-local")
    with pytest.raises(StepvizError, match="balance left no label"):
        build(store, "sorm", {"k": 4, "max_per_problem": 1})
    assert store.datasets() == []


def test_a_style_renders_the_prompts_and_is_kept(school: Store, tmp_path: Path):
    path = tmp_path / "ask.json"
    path.write_text('{"template": "Q: {question}\\nA: "}')
    made = build(school, "self-explore", {"style": str(path)})
    (row, *_) = school.dataset_rows(made.id)
    assert row["prompt"].startswith("Q: Ana has 2 pens")
    assert made.config["style"]["template"] == "Q: {question}\nA: "
    assert build(school, "self-explore", made.config) == made  # a stored configuration builds the same again


def test_branches_stay_out_unless_asked_for(school: Store):
    from dataclasses import replace

    row = school.chains(problem(2).id)[1]
    edited = replace(row.chain, origin="edited", key="e", parent=row.chain.id, branch_step=1)
    school.add_chain(edited, row.verdict)
    assert len(rows(school, "orm")) == 18
    assert len(rows(school, "orm", branches=True)) == 19
