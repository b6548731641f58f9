"""Answers that are neither numbers nor mathematics: a letter A-E, plain words; marks that math-verify leaves out."""

from __future__ import annotations

import re

from stepviz import final_answer
from stepviz.numbers import Number, doubted, read_number, strip_wrapping
from stepviz.quantities import Equality
from stepviz.readings import QUANTITY_WORDS

_LETTER = r"\(?\\?(?:text|mathrm|textbf)?\{?\(?([A-E])\)?\}?"
_CHOICE_HEAD = re.compile(
    rf"(?:option|choice|answer)?\s*{_LETTER}(?:\s*[).:,]|\s*$|(?![A-Za-z0-9'^_*+/=\s-])|\s+(?=because\b))"
)
_CHOICE_WORD = re.compile(
    r"(?i:answer|answers|ans|option|choice|réponse|respuesta|antwort|答案)"
    rf"(?:\W|is|est|es|ist|option|choice|correct|the|was){{0,12}}?\W{{0,4}}{_LETTER}(?![A-Za-z])"
)
_CHOICE_TRUE = re.compile(r"(?<![A-Za-z])\(?([A-E])\)?\s+(?:is|must be)\s+(?:the\s+)?(?:correct|true|right|answer)\b")
_LONE_LETTER = re.compile(r"(?<![A-Za-z0-9'’$\\^_])(?:([B-E])(?![A-Za-z0-9'’^_])|(A)(?![A-Za-z0-9'’^_]|\s+[a-z]))")

_PHRASE = re.compile(r"(?=.*[^\W\d_]{2})[^\W\d_]+(?:[ '’-][^\W\d_]+)*")
_WORD = re.compile(r"(?<![A-Za-z\\])(?:[A-Za-z][a-z]{3,}|or|to|by|no|not|but|in|of|is|if)(?![A-Za-z])")
_SET_OFF = re.compile(r"\$+([^$]+)\$+|\\\((.*?)\\\)|\\\[(.*?)\\\]", re.S)
_FUNCTION_NAMES = (
    "sin cos tan cot sec csc log exp sqrt max min gcd lcm mod arcsin arccos arctan sinh cosh tanh det lim frac infty"
    " alpha beta gamma theta"
)
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_ENVIRONMENT = re.compile(r"\\(?:begin|end|operatorname|mathbb|mathcal)\{[a-zA-Z*]{1,20}\}")


# what math-verify reads past, by what a reader makes of it; each is a difference where only one side has it
_LEFT_OUT = {
    "a relation": re.compile(r"^\s*(?:[<>≤≥≠]|\\(?:[lgn]eq?|[lg]t|[lg]eqslant|neq)(?![a-z]))"),
    "something that goes on": re.compile(r"\.\.|…|\\[lc]?dots(?![a-z])|[0-9]\s*~\s*[0-9]"),
    "an unfinished calculation": re.compile(r"[-+−*/^=<>]\s*\$?\s*$"),
    "a sign beside the number": re.compile(r"[‰‱]|\?\s*$|[0-9]\s*['’′]"),
    "a sum with words": re.compile(
        rf"[0-9)}}]\s*[-+]\s*(?!(?:{'|'.join((*sorted(_FUNCTIONS), 'pi'))})(?![a-z]))[A-Za-z]{{3,}}"
    ),
}


_SCRIPTS = (
    ("^", re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+"), str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")),
    ("_", re.compile("[₀₁₂₃₄₅₆₇₈₉]+"), str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")),
)
_ROOT = re.compile(r"√\s*(?:\{([^{}]*)\}|\(([^()]*)\)|([0-9]+(?:\.[0-9]+)?|[A-Za-z]))")
_SIGNS = {"·": r"\cdot ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne "}


def in_latex(text: str) -> str:
    """Mathematics in Unicode as math-verify reads it: 5² is 5^{2}, √3 is \\sqrt{3}."""
    for mark, signs, digits in _SCRIPTS:
        text = signs.sub(lambda m, mark=mark, digits=digits: f"{mark}{{{m[0].translate(digits)}}}", text)
    text = _ROOT.sub(lambda m: rf"\sqrt{{{m[1] or m[2] or m[3] or ''}}}", text)
    return re.sub("[·∞≤≥≠]", lambda m: _SIGNS[m[0]], text)


def left_out(text: str) -> set[str]:
    """What `text` says that math-verify does not see, as it would be named in a reason."""
    text = strip_wrapping(text)
    remark = doubted(text)
    return {name for name, mark in _LEFT_OUT.items() if mark.search(text)} | ({f"“{remark}”"} if remark else set())


def choice(text: str) -> str | None:
    """The letter A-E that a text chooses."""
    text = text[-final_answer.TAIL :]
    found = final_answer.find(text)
    for candidate in (found.text if found else "", text):
        if match := _CHOICE_HEAD.match(candidate.strip()[:200]):
            return match[1]
    letters = [m[1] for m in _CHOICE_WORD.finditer(text)] or [m[1] for m in _CHOICE_TRUE.finditer(text)]
    letters = letters or [m[1] or m[2] for m in _LONE_LETTER.finditer(text)]
    return letters[-1] if letters else None


def same_choice(gold: str, answer: str) -> Equality | None:
    """A letter A-E against a choice with its text: "(D) Alina" is D; None where neither side is a letter."""
    letters = [m[1] if (m := re.fullmatch(r"\(?([A-E])\)?[).]?", side)) else None for side in (gold, answer)]
    if not any(letters):
        return None
    first, second = (letter or choice(side) for letter, side in zip(letters, (gold, answer), strict=True))
    if first is None or second is None:
        number = read_number(answer if letters[0] else gold)
        return Equality("unknown", "one side is a choice's letter, the other its value") if number else None
    if first == second:
        return Equality("equal", f"both are choice {first}")
    return Equality("different", f"choice {first} is not choice {second}")


def same_words(gold: str, answer: str, left: Number | None, right: Number | None) -> Equality | None:
    """Plain words are compared as text; a plain word is no number, unless it speaks of one. None for anything else."""
    phrases = [_PHRASE.fullmatch(side) is not None for side in (gold, answer)]
    words = [re.findall(r"[^\W\d_]+", side.lower()) for side in (gold, answer)]
    long = [any(len(word) >= 4 for word in side) for side in words]
    if all(phrases) and any(long):
        stems = [{word.removesuffix("s") for word in side} for side in words]
        initials = ["".join(word[0] for word in side) for side in words]
        if stems[0] <= stems[1] or stems[1] <= stems[0] or [initials[0]] == words[1] or [initials[1]] == words[0]:
            return Equality("unknown", f"“{short(gold)}” and “{short(answer)}” may mean the same")
        return Equality("different", f"“{short(gold)}” and “{short(answer)}” are different words")
    for k, number in ((0, right), (1, left)):
        if phrases[k] and number and not QUANTITY_WORDS.isdisjoint(words[k]):
            return Equality("unknown", f"“{short((gold, answer)[k])}” speaks of a number, but which it is is not clear")
        if phrases[k] and long[k] and number:
            return Equality("different", "one is a number, the other a word")
    return None


def worded(text: str) -> str | None:
    """The first English word in what should be mathematics; there math-verify reads a product of letters.

    Words beside mathematics that dollars or \\( set off are not read by it, and do no harm. "10 + John's age" is
    algebra with a long name.
    """
    if re.search(r"[+*/×]\s*[A-Za-z]", text):
        return None
    formulas = ["".join(part or "" for part in groups) for groups in _SET_OFF.findall(text)]
    bare = _ENVIRONMENT.sub(" ", "\n".join(formulas) or text)
    return next((m.group() for m in _WORD.finditer(bare) if m.group().lower() not in _FUNCTIONS), None)


def short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
