"""What the Datasets page says of each recipe and each of its options. What they do is in stepviz.recipes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """makes: one sentence; paper: where it comes from; reads: what the store must hold for it."""

    makes: str
    paper: str
    reads: str


GLORE, SELF_EXPLORE = "GLoRe, 2402.10963", "Self-Explore, 2404.10346"

RECIPES: dict[str, Words] = {
    "sft": Words("Questions with their reference solutions, to imitate.", GLORE, "solutions"),
    "rft": Words("The model's own right solutions, each way to the answer once.", SELF_EXPLORE, "chains"),
    "orm": Words("Every step labelled with how its chain ended: right or wrong.", GLORE, "chains"),
    "balanced-orm": Words("The same, with as many right as wrong chains of each question.", GLORE, "chains"),
    "sorm": Words("Every step labelled with whether it can still be solved from there.", GLORE, "measured steps"),
    "stepwise": Words("Steps as people, a data set or the exact judge labelled them.", "PRM800K, 2305.20050", "labels"),
    "refine-global": Words("A wrong draft, and a right solution to write instead.", GLORE, "chains"),
    "refine-local": Words(
        "A wrong draft with [BAD] at its first negative step, and a right way on from there.", GLORE, "measured steps"
    ),
    "self-explore": Words(
        "Preference pairs at the first pit: the step that loses it, and a continuation that does not.",
        SELF_EXPLORE,
        "measured steps",
    ),
    "human-pairs": Words(
        "Preference pairs at the first step that people call wrong: that step, and one they call right from the same "
        "steps.",
        "PRM800K, 2305.20050",
        "labels",
    ),
}

# option → label, and what it does in one line; "recipe.option" where one recipe means something of its own
OPTIONS: dict[str, tuple[str, str]] = {
    "k": ("Rollouts a step", "A prefix counts as measured once it has so many continuations (the paper's K)."),
    "consistent": (
        "Only consistent rollouts",
        "A right continuation counts if all results before it are used.",
    ),
    "plain": ("Consistency by plain string", "As in the paper, 2 is found in 12 too; off respects token borders."),
    "results": (
        "Results that must be used",
        "Of the prefix: every one (a needless step fails it), or its last.",
    ),
    "carry_back": ("Carry positives back", "A step that can be solved makes all earlier steps positive."),
    "balance": ("Balance each prefix length", "The surplus class is masked, so that the position alone tells nothing."),
    "soft": ("Soft labels", "Also k successes of n rollouts, in two more columns."),
    "seed": ("Seed", "Of the random choice that the balance makes."),
    "distinct": ("Two solutions are the same", "If their equations are, or only if their text is."),
    "equations_hold": ("Every equation must hold", "Leaves out right chains with a false equation in them."),
    "keep": ("Right samples a question", "At most so many stay; empty keeps all."),
    "self-explore.keep": ("Right samples a question", "At most so many can be a pair's right side; empty keeps all."),
    "reference": ("With the reference solution", "It comes first, and its duplicates go."),
    "annotator": ("Labels of", "A person, or a data set with labellers of its own; each one's labels as they are."),
    "study": ("People of the study", "What they agree on: what an admin settled, else what most of them say."),
    "after_error": ("Labels after the first wrong step", "People may have rated on, or stopped there."),
    "stepwise.soft": ("Soft labels", "Also how many of how many people call the step right, in two more columns."),
    "gold": ("Gold items, too", "Items of a study whose labels were known before."),
    "blind": ("Only blind labels", "Not those that people of a study gave with a model's opinion in sight."),
    "span": ("How far both sides go", "One step, or all that follows; then the right side is right to its end."),
    "chosen": ("What is preferred", "A step that people call right; or, without one, a chain whose answer is right."),
    "oracle": ("The exact judge's labels", "Embedded problems only: a ceiling to compare with, nothing else."),
    "question": ("The question labelled", "Is the step correct, or can the problem still be solved after it?"),
    "neutral": ("PRM800K's 0 (no error, no use)", "Counts as correct, or gets no label."),
    "target": ("What to write", "The whole solution, or only what comes after the good steps."),
    "at_start": ("Wrong from step 1 on", "Takes a right chain of the same question, or leaves the draft out."),
    "targets": ("Right solutions a draft", "So many rows are made of each wrong draft, where there are so many."),
    "paired": ("Only paired wrong chains", "Each right sample takes the wrong chain that differs most from it."),
}

VALUES = {
    "equations": "equations are the same",
    "exact": "text is the same",
    "correct": "correct",
    "solvable": "can still be solved",
    "mask": "no label",
    "keep": "stay as they are",
    "step": "the step alone",
    "rest": "to the end",
    "judged": "what people call right",
    "right": "also right answers",
    "full": "the whole solution",
    "suffix": "the rest only",
    "every": "every one",
    "last": "the last step's",
    "rollout": "a right chain",
    "skip": "leave it out",
    "refuse": "stop, and name it",
    "drop": "leave it out",
    "all": "all of them",
    "train": "without those held out",
    "held-out": "only those held out",
}

SELECTION: dict[str, tuple[str, str]] = {
    "source": ("Source", ""),
    "split": ("Split", "Test problems never enter a training set."),
    "model": ("Chains of", "The model that sampled them, or where they were imported from."),
    "sampling": ("Sampled with", ""),
    "rollout_model": ("Measured with", ""),
    "rollout_sampling": ("Sampling of the rollouts", ""),
    "rollouts": ("Measured with", "Whose continuations count."),
    "limit": ("At most, problems", "Empty takes all."),
    "max_chains": ("At most, chains a problem", "The first draws of each model; empty takes all."),
    "max_per_problem": ("At most, rows a problem", "Empty takes all."),
    "part": ("Part", "The same problems are held out in every dataset."),
    "held_out": ("Share held out", "Between 0 and 1."),
    "branches": ("Branches, too", "Chains that a person or a continuation branched off another."),
    "style": ("Prompt", "Of the dataset that is used again."),
    "test_overlap": ("Also in a test split", "A problem that stands in a test split of any source."),
}


def option_words(recipe: str, option: str) -> tuple[str, str]:
    """(label, explanation); an option nobody wrote about is called by its name."""
    plain = (option.replace("_", " ").capitalize(), "")
    return OPTIONS.get(f"{recipe}.{option}") or OPTIONS.get(option) or SELECTION.get(option, plain)
