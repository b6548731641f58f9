"""The form of a study: which chains, what is asked of whom, and what comes of it before anybody clicks. No HTML.

Everything travels with each request as text, and comes back as it was typed; what is wrong is said at its field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from db.store import Store
from db.values import ChainFilter, ChainRow, ProblemFilter
from stepviz.errors import StepvizError
from stepviz.model_choices import scorers
from stepviz.studies import ARMS, MOST_MINUTES, MOST_PEOPLE, ORDERS, QUESTIONS, StudyConfig, Unfit
from stepviz.study_make import GUIDELINE, Plan, checked_guideline, checked_name, gold_judge, planned, usual_people
from stepviz.ui.address import RESULTS
from stepviz.ui.views import answer_shares, place

MOST_CHAINS = 5_000  # of one study: its items are looked at before the click
LISTED = 60  # origins and judges to choose from
DEFAULTS = {
    "people": "2", "order": "random", "arm_blind": "1", "arm_scores": "0", "arm_pit": "0", "threshold": "0.5",
    "gold_share": "0", "lease": "30", "seed": "0", "limit": "100", "ask_correct": "on", "guideline": GUIDELINE,
}  # fmt: skip
FILTERS = ("q", "source", "split", "result", "origin", "verdict", "problem", "answer")
TEXTS = (*FILTERS, "name", "scorer", "gold_by", *(name for name in DEFAULTS if not name.startswith("ask_")))
_RULES = {
    "people": f"A whole number from 1 to {MOST_PEOPLE}.",
    "order": "Choose one of them.",
    "arms": "Whole numbers, one of them above 0.",
    "gold_share": "A share from 0 to below 1, such as 0.1.",
    "lease_minutes": f"Minutes, from 1 to {MOST_MINUTES:,}.",
    "threshold": "A score from 0 to 1.",
    "questions": "Ask one of them at least.",
    "seed": "A whole number.",
}
_FIELD = {"lease_minutes": "lease"}  # a setting's field in the form, where it has another name
Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StudyForm:
    """values: as typed; errors: field → what is wrong with it; choices: of the lists; serial: see static/js/form.js.

    fits: chains that the filter leaves, None where there are more than were counted. chips: what of Explore's list was
    carried here, in words.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str]
    choices: Mapping[str, Choices]
    plan: Plan | None = None
    fits: int | None = 0
    chosen: int = 0
    chip: str = ""
    serial: str = ""


def values_of(sent: Mapping[str, Any]) -> dict[str, str]:
    """A form that was not sent yet has its defaults; a switch that is off is not sent."""
    fresh = "order" not in sent
    given = {name: str(sent.get(name) or "")[: 50_000 if name == "guideline" else 500] for name in TEXTS}
    given |= {f"ask_{q}": "on" if sent.get(f"ask_{q}") else "" for q in QUESTIONS}
    if fresh:
        given = DEFAULTS | {name: value for name, value in given.items() if value}
    return {name: given.get(name, "") for name in (*TEXTS, *(f"ask_{q}" for q in QUESTIONS))}


def form_of(store: Store, sent: Mapping[str, Any], whole: bool = False) -> StudyForm:
    """whole: what has not been typed yet is an error, too."""
    values = values_of({"people": "" if "order" in sent else str(usual_people(store)), **sent})
    config, errors = config_of(store, values)
    if whole or values["name"].strip():
        errors |= _name_error(store, values["name"])
    try:
        checked_guideline(values["guideline"])
    except Unfit as error:
        errors[error.field] = _sentence(str(error))
    fits: int | None = 0
    chosen: list[ChainRow] = []
    plan = None
    if "limit" not in errors:
        chosen, fits = chains_of(store, values)
        if not chosen:
            errors["chains"] = "No chain fits: choose others, or sample or import some first."
    if config is not None and chosen:
        try:
            plan = planned(store, values["name"], config, chosen, values["guideline"], values["gold_by"])
        except Unfit as error:
            errors.setdefault(_FIELD.get(error.field, error.field), _sentence(str(error)))
    chip = _chip(store, values)
    serial = str(sent.get("serial", ""))[:20]
    return StudyForm(values, errors, _choices(store, values), plan, fits, len(chosen), chip, serial)


def config_of(store: Store, values: Mapping[str, str]) -> tuple[StudyConfig | None, dict[str, str]]:
    """(the settings, or None; field → what is wrong with it)."""
    asked: dict[str, Any] = {
        "questions": tuple(q for q in QUESTIONS if values[f"ask_{q}"]),
        "people": _whole(values["people"]),
        "order": values["order"],
        "gold_share": _number(values["gold_share"] or "0"),
        "lease_minutes": _number(values["lease"]),
        "threshold": _number(values["threshold"]),
        "seed": _whole(values["seed"] or "0"),
    }
    weights = {arm: _whole(values[f"arm_{arm}"] or "0") for arm in ARMS}
    asked["arms"] = None if None in weights.values() else {arm: n for arm, n in weights.items() if n}
    errors = {}
    for name, value in asked.items():
        try:
            if value is None:
                raise Unfit(name, "")
            StudyConfig(**{"scorer": "any", name: value})
        except StepvizError as error:
            errors[_FIELD.get(name, name)] = _RULES.get(name) or _sentence(str(error))
    limit = _whole(values["limit"])
    if limit is None or not 1 <= limit <= MOST_CHAINS:
        errors["limit"] = f"A whole number from 1 to {MOST_CHAINS:,}."
    usable = {name: value for name, value in asked.items() if _FIELD.get(name, name) not in errors}
    try:
        config = StudyConfig(**usable, scorer=values["scorer"])
        gold_judge(store, config, values["gold_by"])
        return (None if errors else config), errors
    except Unfit as error:
        return None, errors | {error.field: _sentence(str(error))}


def chains_of(store: Store, values: Mapping[str, str]) -> tuple[list[ChainRow], int | None]:
    """(the first `limit` that the filter leaves, how many it leaves: None where that was not counted)."""
    limit = int(values["limit"])
    if values["problem"] or values["q"] or values["result"]:
        found = list(islice(_of_problems(store, values), limit + 1))
        return found[:limit], len(found) if len(found) <= limit else None
    fits = ChainFilter(
        values["source"] or None, values["split"] or None, values["origin"] or None, verdict=values["verdict"] or None
    )  # type: ignore[arg-type]
    found = list(islice((row for row in store.chains_of(fits) if row.chain.n), limit))
    return found, store.count_chains(fits)


def _of_problems(store: Store, values: Mapping[str, str]) -> Iterator[ChainRow]:
    """As Explore's lists are filtered: problems, and of them the chains."""
    if values["problem"]:
        problems = [id for id in [values["problem"]] if store.problem(id) is not None]
    else:
        wanted = ProblemFilter(
            values["q"],
            values["source"] or None,
            values["split"] or None,
            values["result"] or None,  # type: ignore[arg-type]
        )
        problems = (row.id for row in store.problems_of(wanted) if row.n_chains)  # type: ignore[assignment]
    for problem in problems:
        rows = store.chains(problem, values["origin"] or None)
        answer_of = answer_shares(rows)[1] if values["answer"] else {}
        for row in rows:
            picked = not values["answer"] or answer_of[row.chain.id] == values["answer"]
            if row.chain.n and picked and values["verdict"] in ("", row.verdict.value):
                yield row


def _name_error(store: Store, name: str) -> dict[str, str]:
    try:
        name = checked_name(name)
    except Unfit as error:
        return {"name": _sentence(str(error))}
    taken = any(row.name == name for row in store.studies())
    return {"name": "There is a study of this name already."} if taken else {}


def _choices(store: Store, values: Mapping[str, str]) -> dict[str, Choices]:
    sources = tuple((name, f"{name} ({n:,} problems)") for name, n in store.sources())
    splits = tuple((name, f"{name} ({n:,})") for name, n in store.splits(values["source"])) if values["source"] else ()
    origins = sorted(store.origins(values["problem"] or None), key=lambda x: -x[1])[:LISTED]
    scored = tuple((c.model_id or c.spec, " · ".join(p for p in (c.label, c.about) if p)) for c in scorers(store))
    people = dict.fromkeys(p.partition("/")[0] + "/*" if "/" in p else p for p in store.annotators())
    found: dict[str, Choices] = {
        "source": (("", "any"), *sources),
        "split": (("", "any"), *splits),
        "origin": (("", "any"), *((name, f"{name.partition('@')[0]} ({n:,})") for name, n in origins)),
        "verdict": (("", "any"), ("correct", "right"), ("wrong", "wrong"), ("unknown", "cannot judge")),
        "result": (("", "any"), *((name, name) for name in RESULTS if name != "unsampled")),
        "order": tuple((name, f"{name}: {about}") for name, about in ORDERS.items()),
        "scorer": (("", "none"), *scored),
        "gold_by": (("", "nobody’s"), ("exact", "exact (embedded world)"), ("equations", "equations"),
                    *((name, name) for name in list(people)[:LISTED])),
    }  # fmt: skip
    for name, choices in found.items():  # of an address, or of a list that was cut
        if values[name] and values[name] not in dict(choices):
            found[name] = (*choices, (values[name], values[name]))
    return found


def _chip(store: Store, values: Mapping[str, str]) -> str:
    if not values["problem"]:
        return ""
    row = store.problem(values["problem"])
    where = place(row) if row else "a problem that is not here"
    return f"chains of {where}" + (f" with the answer {values['answer']}" if values["answer"] else "")


def _whole(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _number(text: str) -> float | None:
    text = text.strip().replace(",", ".")
    usable = text.isascii() and len(text) < 16 and text.replace(".", "", 1).isdigit()
    return float(text) if usable else None


def _sentence(message: str) -> str:
    """A message of the command line as a sentence, without its options."""
    message = message.replace(" (--gold-by, such as exact or processbench)", "").replace(
        ": run `score --model` first", ""
    )
    message = message.removeprefix("a study needs ")
    return message[:1].upper() + message[1:].rstrip(".") + "."
