"""Who may import whom (design.md, section 3): a module imports from its own level or below, never from above."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up. A module's level is that of the longest name here that it starts with.
LEVELS = (
    ("stepviz.types", "stepviz.identity", "stepviz.errors", "stepviz.label_rules", "stepviz.statistics", "stepviz.svg"),
    ("stepviz.numbers", "stepviz.final_answer", "stepviz.arithmetic", "db"),
    (
        "stepviz.steps",
        "stepviz.quantities",
        "stepviz.readings",
        "stepviz.plain_answers",
        "stepviz.hostile",
        "stepviz.grader_worker",
    ),
    ("stepviz.grader_pool",),
    ("stepviz.answers", "stepviz.equation_sides"),
    ("stepviz.equations",),
    ("stepviz.embedded",),
    ("stepviz.world", "stepviz.sources", "stepviz.engines", "stepviz.prompt_styles"),
    ("stepviz.rollouts", "stepviz.reward", "stepviz.trainings", "stepviz.checkpoints", "stepviz.strategies"),
    ("stepviz.posterior",),
    ("stepviz.posterior_fit", "stepviz.adaptive"),
    ("stepviz.sampling",),
    (
        "stepviz.refinement",
        "stepviz.glore",
        "stepviz.self_explore",
        "stepviz.gpo",
        "stepviz.agreement",
        "stepviz.compare",
        "stepviz.compare_report",
        "stepviz.compare_scores",
        "stepviz.studies",
        "stepviz.adjudication",
        "stepviz.refining",
    ),
    ("stepviz.measuring", "stepviz.pits"),
    ("stepviz.measure_estimate",),
    ("stepviz.recipes",),
    (
        "stepviz.accounts",
        "stepviz.import_report",
        "stepviz.grading",
        "stepviz.importing",
        "stepviz.exporting",
        "stepviz.datasets",
        "stepviz.datasets_config",
        "stepviz.datasets_plan",
        "stepviz.datasets_walked",
        "stepviz.dataset_files",
        "stepviz.dataset_card",
        "stepviz.audit",
        "stepviz.audit_draws",
        "stepviz.first_screen",
        "stepviz.results",
        "stepviz.train_estimate",
        "stepviz.train_memory",
        "stepviz.train_job",
        "stepviz.train_left",
        "stepviz.train_questions",
        "stepviz.compare_spec",
        "stepviz.measure_spec",
        "stepviz.compare_draws",
        "stepviz.compare_scored",
        "stepviz.agree",
        "stepviz.agree_scores",
        "stepviz.agree_sources",
        "stepviz.annotating",
        "stepviz.study_export",
        "stepviz.study_formats",
        "stepviz.study_labels",
        "stepviz.study_turns",
        "stepviz.study_make",
        "stepviz.study_read",
        "stepviz.study_summary",
        "stepviz.compare_address",
    ),
    ("stepviz.worker_process", "stepviz.costs"),
    (
        "stepviz.trainer",
        "stepviz.model_choices",
        "stepviz.jobs",
        "stepviz.job",
        "stepviz.job_draws",
        "stepviz.job_kinds",
        "stepviz.refine_draw",
        "stepviz.refine_job",
        "stepviz.refine_progress",
        "stepviz.run_report",
        "stepviz.refine_spec",
        "stepviz.compare_job",
        "stepviz.worker",
        "stepviz.bench",
        "stepviz.bench_agreement",
        "stepviz.bench_annotate",
        "stepviz.bench_annotate_check",
        "stepviz.bench_annotate_people",
        "stepviz.bench_annotate_store",
        "stepviz.bench_app",
        "stepviz.bench_engine",
        "stepviz.bench_engine_sides",
        "stepviz.bench_score",
        "stepviz.bench_server",
        "stepviz.bench_measure",
        "stepviz.bench_measure_data",
        "stepviz.bench_measure_ways",
        "stepviz.bench_measure_sure",
        "stepviz.measure_job",
        "stepviz.measure_cost",
        "stepviz.notebook",
    ),
    ("training",),
    (
        "stepviz.ui",
        "stepviz.cli",
        "stepviz.cli_agree",
        "stepviz.cli_agree_text",
        "stepviz.cli_chains",
        "stepviz.cli_compare",
        "stepviz.cli_datasets",
        "stepviz.cli_jobs",
        "stepviz.cli_output",
        "stepviz.cli_pits",
        "stepviz.cli_regrade",
        "stepviz.cli_runs",
        "stepviz.cli_refine",
        "stepviz.cli_study",
        "stepviz.cli_study_export",
        "stepviz.cli_users",
        "stepviz.cli_world",
    ),
    ("stepviz.__main__", "app"),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# The store is below jobs, bench, screens, commands and trainers, and nobody else may know it.
KNOW_THE_STORE = LEVEL["stepviz.recipes"] + 1
PURE = (
    "stepviz.glore",
    "stepviz.self_explore",
    "stepviz.gpo",
    "stepviz.refining",
    "stepviz.recipes",
    "stepviz.rollouts",
    "stepviz.strategies",
    "stepviz.posterior",
    "stepviz.adaptive",
    "stepviz.measuring",
    "stepviz.measure_estimate",
    "stepviz.compare",
    "stepviz.statistics",
    "stepviz.adjudication",
)
HEAVY = {"torch", "transformers", "vllm", "trl", "gradio", "sqlalchemy", "pandas", "sklearn", "datasets"}


def modules() -> list[Path]:
    return [
        ROOT / "app.py",
        *(p for part in ("stepviz", "db", "training") for p in sorted((ROOT / part).rglob("*.py"))),
    ]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def level_of(name: str) -> int:
    if name == "stepviz":
        return len(LEVELS)  # the package itself: it opens a notebook, late
    fits = [known for known in LEVEL if name == known or name.startswith(known + ".")]
    assert fits, f"{name} has no level: put it into LEVELS"
    return LEVEL[max(fits, key=len)]


def imports(path: Path, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if not top_only else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def ours(found: set[str]) -> set[str]:
    known = {name_of(p) for p in modules()}
    return {name for name in found if name in known and name != "stepviz"}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_arrows_point_to_the_importer(path: Path) -> None:
    name = name_of(path)
    for imported in ours(imports(path)):
        assert level_of(imported) <= level_of(name), f"{name} imports {imported} from above"
        if imported.split(".")[0] == "db" and name.split(".")[0] != "db":
            assert level_of(name) >= KNOW_THE_STORE, f"{name} must not know the store"
        if imported.split(".")[0] == "training":
            assert name.startswith("training"), f"{name} must not import the trainers"


@pytest.mark.parametrize("name", PURE)
def test_papers_and_recipes_know_no_database_no_screen_and_no_torch(name: str) -> None:
    paths = [path for path in modules() if name_of(path) == name or name_of(path).startswith(name + ".")]
    assert paths
    for path in paths:
        assert not {i.split(".")[0] for i in imports(path)} & (HEAVY | {"db"}), path


def test_importing_stepviz_is_instant() -> None:
    code = "import sys, stepviz, stepviz.types, stepviz.cli; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(loaded.stdout.split()) & HEAVY
