"""All tables of GLoRe's comparison, over the seeds that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from stepviz.results import Rows
from training.reproduce import glore_fixed as fixing
from training.reproduce import glore_judges as judges
from training.reproduce import glore_lengths as lengths
from training.reproduce import label_errors
from training.reproduce.glore_arms import Trained
from training.reproduce.glore_data import Scale, Shared
from training.reproduce.glore_judges import Judge
from training.reproduce.glore_refine import Refined
from training.reproduce.work import Work


def report(
    work: Work,
    models: Sequence[Mapping[str, Trained]],
    refined: Sequence[Refined],
    shared: Shared,
    scale: Scale,
) -> dict[str, Rows]:
    """Every table, over the seeds that are there."""
    found = step_judges(work, models, shared)
    by_name = {judge.name: judge for judge in found}
    at_lengths = step_judges_at_lengths(work, models, shared, found)
    targets = judges.targets(shared)
    curves = judges.rerank(work, models, shared)
    fixed = fixing.fixed(refined, shared)
    kept = fixing.kept(work, models, refined, shared)
    return {
        "the run": [_run(shared, scale, len(models))],
        "step accuracy before the answer line, %": [judges.figures(judge, targets) for judge in found],
        "contrasts of step judges: balanced accuracy against `solvable`": _contrasts(by_name, targets),
        "step accuracy, right and wrong steps balanced at each prefix length, %": [
            lengths.figures(judge, targets) for judge in at_lengths
        ],
        "contrasts at balanced prefix lengths": _contrasts_by_length(at_lengths, targets),
        "an easier split": [row for a, b in EASIER for row in judges.by_difficulty(shared, by_name[a], by_name[b])],
        "an easier split, balanced at each prefix length": judges.by_difficulty(
            shared, by_name["sorm"], by_name["orm"], lengths.contrast
        ),
        "final-answer accuracy, %": [judges.final(j, shared.test) for j in found if "tuned" not in j.name],
        "contrast of final answers": _final_contrast(by_name, shared),
        "best of n by score, %": judges.rerank_rows(curves, shared),
        "contrasts of reranking": judges.rerank_contrasts(curves),
        "wrong drafts fixed": fixing.fixed_rows(fixed, refined, shared),
        "contrasts of fixing": fixing.fixed_contrasts(fixed, fixing.later(refined, shared)),
        "right in the end": fixing.kept_rows(kept),
        "contrasts in the end": fixing.kept_contrasts(kept),
        "wrong SORM labels of K rollouts, % of labels": label_errors.table(shared.deep),
        "wrong SORM labels of K rollouts, of wrong drafts alone, % of labels": label_errors.table(
            [chain for chain, draft in zip(shared.deep, shared.test, strict=False) if not draft.right]
        ),
    }


def step_judges(work: Work, models: Sequence[Mapping[str, Trained]], shared: Shared) -> list[Judge]:
    """Every scorer at 0.5, ORM and SORM with tuned thresholds, and position alone."""
    found, joined = [], []
    alone, alone_dev = (judges.position(shared.dev, drafts) for drafts in (shared.test, shared.dev))
    for arm in models[0]:
        if arm == "refiner":
            continue
        scores = [judges.score(work, f"seed-{s}/test", arms[arm], shared.test) for s, arms in enumerate(models)]
        learnt = models[0][arm].tokens
        found.append(Judge(arm, scores, [judges.T] * len(models), learnt))
        if arm in TUNED:
            dev = [judges.score(work, f"seed-{s}/dev", arms[arm], shared.dev) for s, arms in enumerate(models)]
            found.append(Judge(f"{arm}, tuned", scores, [judges.tuned(shared.dev, row) for row in dev], learnt))
            name = f"{arm} and position, tuned"
            joined.append(lengths.judge_with_length(name, scores, dev, (alone, alone_dev), shared.dev))
    threshold = judges.tuned(shared.dev, alone_dev)
    found.append(Judge("position only, tuned", [alone] * len(models), [threshold] * len(models)))
    return [*found, *joined]


def step_judges_at_lengths(
    work: Work, models: Sequence[Mapping[str, Trained]], shared: Shared, found: Sequence[Judge]
) -> list[Judge]:
    """The same scorers at 0.5, and those that come tuned with thresholds tuned for balanced lengths."""
    made = []
    for judge in found:
        if "tuned" in judge.name:
            continue
        made.append(judge)
        if judge.name in TUNED:
            dev = [judges.score(work, f"seed-{s}/dev", arms[judge.name], shared.dev) for s, arms in enumerate(models)]
            thresholds = [lengths.tuned(shared.dev, scores) for scores in dev]
            made.append(Judge(f"{judge.name}, tuned", judge.scores, thresholds))
    return made


TUNED = ("orm", "sorm", "orm-traces", "oracle-solvable")  # judges that also come with a threshold of development drafts
PAIRS = (
    ("sorm", "orm", "8"),
    ("sorm", "orm, tuned", ""),
    ("sorm, tuned", "orm, tuned", ""),
    ("sorm-unbalanced", "orm", ""),
    ("sorm", "balanced-orm", "about 8"),
    ("sorm, tuned", "orm-traces, tuned", ""),
    ("sorm", "position only, tuned", ""),
    ("sorm and position, tuned", "position only, tuned", ""),
    ("sorm and position, tuned", "orm and position, tuned", ""),
    ("sorm", "sorm-any-verifier", ""),
    ("sorm", "sorm-every-result", ""),
    ("sorm", "sorm-as-drawn", ""),
    ("sorm", "sorm-unbalanced", ""),
    ("oracle-solvable", "sorm", ""),
    ("oracle-solvable and position, tuned", "sorm and position, tuned", ""),
)
PAIRS_BY_LENGTH = (
    ("sorm", "orm", "8"),
    ("sorm, tuned", "orm, tuned", ""),
    ("sorm", "balanced-orm", "about 8"),
    ("sorm, tuned", "orm-traces, tuned", ""),
    ("sorm", "sorm-unbalanced", ""),
    ("oracle-solvable", "sorm", ""),
)
EASIER = (("sorm", "orm"), ("sorm, tuned", "orm, tuned"), ("sorm and position, tuned", "orm and position, tuned"))
SEEN = 2_000  # test problems that the first run had seen


def _contrasts(by_name: Mapping[str, Judge], targets: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for a, b, paper in PAIRS:
        if a in by_name and b in by_name:
            name = f"{a} − {b}" + (" (primary)" if (a, b) == ("sorm", "orm") else "")
            rows.append(judges.contrast(name, targets["solvable"], by_name[a], by_name[b], paper))
    return rows + _primary(by_name["sorm"], by_name["orm"], targets)


def _primary(sorm: Judge, orm: Judge, targets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """SORM − ORM against the other targets, for each seed, and for the problems of the first run and the others."""
    labels, n = targets["solvable"], len(orm.scores)
    rows = [judges.contrast(f"sorm − orm, against {name}", targets[name], sorm, orm) for name in ("S_8", "correct")]
    for seed in range(n if n > 1 else 0):
        one = [replace(j, scores=[j.scores[seed]], thresholds=[j.thresholds[seed]]) for j in (sorm, orm)]
        rows.append(judges.contrast(f"sorm − orm, seed {seed} alone", labels, *one))
    if len(labels) > SEEN:
        none = [[None] * len(row) for row in labels]
        first, rest = labels[:SEEN] + none[SEEN:], none[:SEEN] + labels[SEEN:]
        rows.append(judges.contrast("sorm − orm, problems of the first run", first, sorm, orm) | {"drafts": SEEN})
        rows.append(judges.contrast("sorm − orm, other problems", rest, sorm, orm) | {"drafts": len(labels) - SEEN})
    return rows


def _contrasts_by_length(found: Sequence[Judge], targets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Against exact truth and, as the paper's test sets are labelled, against S_8."""
    by_name = {judge.name: judge for judge in found}
    return [
        lengths.contrast(f"{a} − {b}, {target}", targets[target], by_name[a], by_name[b], paper)
        for target in ("solvable", "S_8")
        for a, b, paper in PAIRS_BY_LENGTH
        if a in by_name and b in by_name
    ]


def _final_contrast(by_name: Mapping[str, Judge], shared: Shared) -> list[dict[str, Any]]:
    labels = judges.answers(shared.test)
    pairs = [("orm", "sorm", "5"), ("orm", "balanced-orm", ""), ("orm", "sorm-unbalanced", "")]
    return [
        judges.contrast(f"{a} − {b}, balanced accuracy", labels, by_name[a], by_name[b], paper)
        for a, b, paper in pairs
        if a in by_name and b in by_name
    ]


def _run(shared: Shared, scale: Scale, seeds: int) -> dict[str, Any]:
    return {
        "student": shared.student,
        "seeds": seeds,
        "test drafts": len(shared.test),
        "right": round(100 * sum(d.right for d in shared.test) / len(shared.test), 1),
        "drafts refined": len(shared.refined),
        f"questions with {scale.n} samples": sum(len(group) >= scale.n for group in shared.samples),
        "drafts with S_8": len(shared.s8),
        f"with {scale.rollouts} rollouts": len(shared.deep),
        "training problems": scale.data.problems,
        "of them with rollouts": scale.data.with_rollouts,
        "sampled tokens, drafts": shared.tokens["drafts"],
        "sampled tokens, traces": shared.tokens["traces"],
        **{f"data: {k}": v for k, v in asdict(scale.data).items() if k in ("samples", "wrong", "k", "share")},
    }
