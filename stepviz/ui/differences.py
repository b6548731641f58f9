"""What a refinement changed: which steps stayed, and in the others which words. Pure; nothing here is HTML.

A page asks for this at every look, and models write texts of any length. So a pair of chains has a bounded number of
looks at words, what they do not reach is marked as a whole, and the latest pairs are remembered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stepviz.ui import mathtext
from stepviz.ui.common_words import Looks, in_common

Ranges = tuple[tuple[int, int], ...]  # [start, end) into a step's text

_WORD = re.compile(r"<<[^<>\n]{1,200}>>|\d[\d,.]*\d|\d|\w+|\S")
ALIKE = 0.34  # share of words in common from which on one step is a change of the other
PAIRS = 400  # pairs of steps that are held against each other in one run of changes; beyond, those at the same place
MOST = 400  # words of a step that are compared; of a longer one all is changed where it is not the same
LONGEST = 100_000  # characters of both chains; of longer ones no words are compared
LOOKS = 200_000  # for a pair of chains: below 0.1 s
REMEMBERED = 128  # pairs of chains


@dataclass(frozen=True, slots=True)
class Difference:
    """For each step of one side: whether it stands on the other side too, else the places that changed in it."""

    same: tuple[bool, ...]
    changed: tuple[Ranges, ...]


def differences(draft: Sequence[str], refined: Sequence[str], tex: bool = False) -> tuple[Difference, Difference]:
    """Both sides. Steps that are equal (white space apart) are the same; in a run of changes those that are most alike,
    in their order, are held against each other word by word, and the others are new as a whole."""
    if sum(map(len, (*draft, *refined))) > LONGEST:
        return compared(draft, refined, tex, Looks(LOOKS), by_words=False)
    return _remembered(tuple(draft), tuple(refined), tex)


@lru_cache(REMEMBERED)
def _remembered(draft: tuple[str, ...], refined: tuple[str, ...], tex: bool) -> tuple[Difference, Difference]:
    return compared(draft, refined, tex, Looks(LOOKS))


def compared(
    draft: Sequence[str], refined: Sequence[str], tex: bool, looks: Looks, by_words: bool = True
) -> tuple[Difference, Difference]:
    """`differences` within the looks that are left; afterwards they are fewer."""
    left, right = [[" ".join(step.split()) for step in side] for side in (draft, refined)]
    same = [False] * len(left), [False] * len(right)
    changed = [_whole(step) for step in draft], [_whole(step) for step in refined]
    for i, j in _pairs(left, right, looks, by_words):
        if left[i] == right[j]:
            same[0][i] = same[1][j] = True
            changed[0][i] = changed[1][j] = ()
        elif by_words:
            changed[0][i], changed[1][j] = words_changed(draft[i], refined[j], tex, looks)
    return Difference(tuple(same[0]), tuple(changed[0])), Difference(tuple(same[1]), tuple(changed[1]))


def _pairs(left: Sequence[str], right: Sequence[str], looks: Looks, by_words: bool) -> Iterator[tuple[int, int]]:
    """Steps that are the same, and between them those that may be changes of each other."""
    stay = in_common(left, right, looks)
    a = c = 0
    for b, d in (*(stay or ()), (len(left), len(right))):
        if stay is None or not by_words:
            yield from zip(range(a, b), range(c, d), strict=False)
        else:
            yield from ((a + i, c + j) for i, j in _alike(left[a:b], right[c:d], looks))
        if b < len(left):
            yield b, d
        a, c = b + 1, d + 1


def _alike(before: Sequence[str], after: Sequence[str], looks: Looks) -> list[tuple[int, int]]:
    """Pairs of steps in the order of both sides, with the greatest sum of likeness; unlike steps stay alone."""
    likeness = _likeness(before, after, looks)
    if likeness is None:
        return list(zip(range(len(before)), range(len(after)), strict=False))
    best = [[0.0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i in reversed(range(len(before))):
        for j in reversed(range(len(after))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + likeness[i][j])
    pairs, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        if likeness[i][j] and best[i][j] == best[i + 1][j + 1] + likeness[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(before: Sequence[str], after: Sequence[str], looks: Looks) -> list[list[float]] | None:
    """[step before, step after]: the share of words in common in any order, 0 where it is too small to speak of a
    change. None where that is too much to look at."""
    if len(before) * len(after) > PAIRS:
        return None
    counted = [[Counter(text[s:e] for s, e in words(text, False)[:MOST]) for text in side] for side in (before, after)]
    if not looks.take(sum(map(len, counted[0])) * len(after)):
        return None

    def share(a: Counter[str], b: Counter[str]) -> float:
        both = 2 * sum(min(n, b[word]) for word, n in a.items() if word in b)
        ratio = both / max(1, a.total() + b.total())
        return ratio if ratio >= ALIKE else 0.0

    return [[share(a, b) for b in counted[1]] for a in counted[0]]


def words_changed(before: str, after: str, tex: bool = False, looks: Looks | None = None) -> tuple[Ranges, Ranges]:
    """The words of each text that the other has not at their place. Formulas and calculator notes are one word."""
    a, b = words(before, tex), words(after, tex)
    if max(len(a), len(b)) > MOST:
        return _whole(before), _whole(after)
    stay = in_common([before[s:e] for s, e in a], [after[s:e] for s, e in b], looks or Looks(LOOKS))
    if stay is None:
        return _whole(before), _whole(after)
    return _others(a, [i for i, _ in stay]), _others(b, [j for _, j in stay])


def words(text: str, tex: bool) -> list[tuple[int, int]]:
    """Where the words of a text stand, white space left out."""
    found = []
    for part in mathtext.parts(text, tex):
        if part.kind == "text":
            found += [(m.start(), m.end()) for m in _WORD.finditer(text, part.start, part.end)]
        else:
            found.append((part.start, part.end))
    return found


def _others(words: Sequence[tuple[int, int]], kept: Sequence[int]) -> Ranges:
    """What is not kept; words beside each other are one place."""
    places, start = [], 0
    for end in (*kept, len(words)):
        if start < end:
            places.append((words[start][0], words[end - 1][1]))
        start = end + 1
    return tuple(places)


def _whole(text: str) -> Ranges:
    end = len(text.rstrip())
    return ((len(text) - len(text.lstrip()), end),) if end else ()
