"""What the Train page says of each training and each of its settings. What they do is in training/."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """makes: one sentence; paper: where it comes from; use: what the finished model is chosen for."""

    makes: str
    paper: str
    use: str


GLORE = "GLoRe, 2402.10963"
TRAININGS: dict[str, Words] = {
    "sft": Words("Learns to write solutions like those of the dataset.", GLORE, "samples chains"),
    "orm": Words(
        "Estimates after each step how likely the chain ends right.", GLORE, "scores steps, says when to refine"
    ),
    "balanced-orm": Words("The same, from as many right as wrong chains.", GLORE, "scores steps, says when to refine"),
    "sorm": Words("Says after each step whether it can still be solved.", GLORE, "scores steps, says where to refine"),
    "prm": Words("Says of each step whether it is correct.", "PRM800K, 2305.20050", "scores steps"),
    "refiner": Words("Rewrites a draft, from its [BAD] on or as a whole.", GLORE, "refines drafts"),
    "expert-iteration": Words(
        "Learns from its own right samples, round by round. Needs no dataset.", GLORE, "samples chains"
    ),
}

# setting → label, what it does in one line
SETTINGS: dict[str, tuple[str, str]] = {
    "learning_rate": ("Learning rate", "The peak, after a short warm-up; then a cosine down to a twentieth."),
    "epochs": ("Epochs", "Passes over the dataset."),
    "batch": ("Batch", "Blocks of packed rows a step."),
    "length": ("Block length", "Tokens a block. A row that is longer is left out, and counted."),
    "seed": ("Seed", "Of the order of the rows, and of a scorer's new head."),
    "compile": ("Compile", "Small models: about a tenth faster, after a minute's start."),
    "soft": (
        "Soft labels",
        "Learns k of n: of rollouts, and so estimates V, or of people. The dataset must have the counts.",
    ),
    "held_out": ("Share held out", "Of the problems, by which the trained model is judged. Between 0 and 0.9."),
    "student": ("Who samples first", "The student that the first round begins with."),
    "source": ("Source", "Of the questions that are sampled."),
    "split": ("Split", "Test problems are never read."),
    "dev_split": ("Rounds judged by", "Greedy accuracy on these problems chooses the round, and ends the rounds."),
    "samples": ("Samples a question", "The paper's are 96; two cores manage 16 on the embedded world."),
    "questions": ("Questions", "So many of the split are sampled; 0: all."),
    "rounds": ("Rounds at most", "Fewer where greedy accuracy stops rising."),
    "dev": ("Problems that judge", "So many judge each round."),
    "supervised": ("Reference solutions", "Of so many problems, learnt beside the samples; 0: of all."),
    "full_epochs": ("Full epochs", "Of each round's rows. Off: as many tokens as the epochs take on the references."),
    "lora": ("LoRA rank", "0: all weights learn. 16: adapters beside them do, merged in the end; far less memory."),
    "add_token": ("Give it [BAD]", "For a base whose tokenizer has no such token."),
}

ROLES = {
    "generator": "writes chains",
    "orm": "scores V: the student's chance to end right from here",
    "sorm": "scores whether the right answer can still be reached",
    "prm": "scores whether the step is correct",
    "refiner": "refines drafts, globally and locally",
}


_HERE = {"choose another --out (another name)": "choose another name", "checkpoint (--discard)": "checkpoint there"}
_COMMAND_OR_OPTION = re.compile(r"python -m [^,;]+|(?<![\w-])--(?:no-)?([a-z][a-z-]*)")


def in_words(message: str) -> str:
    """A message written for the command line, with its options called as the form calls them."""

    def called(match: re.Match[str]) -> str:
        label = SETTINGS.get((match[1] or "").replace("-", "_"), ("", ""))[0]
        return f"“{label}”" if label else match[0]

    for said, here in _HERE.items():
        message = message.replace(said, here)
    return _COMMAND_OR_OPTION.sub(called, message)


def default_note(large: bool) -> str:
    """What stands above the settings: where their defaults come from."""
    if large:
        return (
            "GLoRe keeps its rates and batches in an appendix that could not be read. These are what is usual for "
            "published models. From 100 M parameters on, one block at a time is on the device: gradients are added up "
            "over the batch, and activations computed again."
        )
    return (
        "GLoRe keeps its rates and batches in an appendix that could not be read. These were found on the embedded "
        "models; a 7B wants a rate of about 1e-5."
    )
