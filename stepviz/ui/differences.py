"""What a refinement changed: which steps stayed, and in the others which words. Pure; nothing here is HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from stepviz.ui import mathtext

Ranges = tuple[tuple[int, int], ...]  # [start, end) into a step's text

_WORD = re.compile(r"<<[^<>\n]{1,200}>>|\d[\d,.]*\d|\d|\s+|\w+|.", re.DOTALL)
ALIKE = 0.34  # share of words in common from which on one step is a change of the other
PAIRS = 400  # pairs of steps that are held against each other in one run of changes; beyond, those at the same place
MOST = 400  # words of a step that are compared; of a longer one all is changed where it is not the same


@dataclass(frozen=True, slots=True)
class Difference:
    """For each step of one side: whether it stands on the other side too, else the places that changed in it."""

    same: tuple[bool, ...]
    changed: tuple[Ranges, ...]


def differences(draft: Sequence[str], refined: Sequence[str], tex: bool = False) -> tuple[Difference, Difference]:
    """Both sides. Steps that are equal (white space apart) are the same; in a run of changes those that are most alike,
    in their order, are held against each other word by word, and the others are new as a whole."""
    left, right = [[" ".join(step.split()) for step in side] for side in (draft, refined)]
    same = [False] * len(left), [False] * len(right)
    changed: tuple[list[Ranges], list[Ranges]] = ([()] * len(left), [()] * len(right))
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            same[0][a:b], same[1][c:d] = [True] * (b - a), [True] * (d - c)
            continue
        pairs = _alike(left[a:b], right[c:d])
        for i, j in pairs:
            changed[0][a + i], changed[1][c + j] = words_changed(draft[a + i], refined[c + j], tex)
        for side, steps, start, end in ((0, draft, a, b), (1, refined, c, d)):
            paired = {start + pair[side] for pair in pairs}
            for i in range(start, end):
                if i not in paired:
                    changed[side][i] = _whole(steps[i])
    return Difference(tuple(same[0]), tuple(changed[0])), Difference(tuple(same[1]), tuple(changed[1]))


def _alike(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of steps in the order of both sides, with the greatest sum of likeness; unlike steps stay alone."""
    if len(before) * len(after) > PAIRS:
        return list(zip(range(len(before)), range(len(after)), strict=False))
    best = [[0.0] * (len(after) + 1) for _ in range(len(before) + 1)]
    alike = [[_likeness(a, b) for b in after] for a in before]
    for i in reversed(range(len(before))):
        for j in reversed(range(len(after))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + alike[i][j])
    pairs, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        if alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(before: str, after: str) -> float:
    """The share of words in common, 0 where it is too small to speak of a change."""
    a, b = ([text[s:e] for s, e in words(text, False)[:MOST]] for text in (before, after))
    ratio = SequenceMatcher(None, a, b, autojunk=False).ratio()
    return ratio if ratio >= ALIKE else 0.0


def words_changed(before: str, after: str, tex: bool = False) -> tuple[Ranges, Ranges]:
    """The words of each text that the other has not at their place. Formulas and calculator notes are one word."""
    a, b = words(before, tex), words(after, tex)
    if max(len(a), len(b)) > MOST:
        return _whole(before), _whole(after)
    texts = [before[s:e] for s, e in a], [after[s:e] for s, e in b]
    left, right = [], []
    for kind, i, j, k, m in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if kind != "equal":
            left += _run(before, a[i:j])
            right += _run(after, b[k:m])
    return tuple(left), tuple(right)


def words(text: str, tex: bool) -> list[tuple[int, int]]:
    """The words of a text without a gap, white space being words too."""
    found = []
    for part in mathtext.parts(text, tex):
        if part.kind == "text":
            found += [(m.start(), m.end()) for m in _WORD.finditer(text, part.start, part.end)]
        else:
            found.append((part.start, part.end))
    return found


def _run(text: str, run: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A run of changed words as one place, without the white space at its ends."""
    if not run:
        return []
    start, end = run[0][0], run[-1][1]
    words = text[start:end]
    start, end = start + len(words) - len(words.lstrip()), end - (len(words) - len(words.rstrip()))
    return [(start, end)] if start < end else []


def _whole(text: str) -> Ranges:
    return tuple(_run(text, [(0, len(text))]))
