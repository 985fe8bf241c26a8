"""What the report of an explained log shows: the finding and figures of its first screen, and a section a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from workbench.hands.report.finding import caption, chart, percent
from workbench.logs.summary import EXPLAINED, ROLES, STATES, TUNED, fact_uses, hangs_on, stored, used

HANGS = {
    "one": "one fact", "two": "two facts", "more": "three or more", "unreadable": "facts, else unreadable",
    "nothing": "nothing shown", "unknown": "no certified set",
}  # fmt: skip
MOST_CARDS = 500  # records that a page shows: more would be slow to open
STATE_WORDS = dict(zip(STATES, ("explained", "unreadable", "refused", "failed"), strict=True))


def first(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the first screen shows, as the report of a run of the notebooks has it; nothing in it runs."""
    metrics, config = manifest.get("metrics", {}), manifest.get("config", {})
    title = f"Log explained in {folder.resolve().name}"
    about = [title, f"finished {manifest.get('finished')}", f"model {config.get('model')}"]
    about += [f"decision {config.get('decision')}", f"seed {manifest.get('seed')}", f"device {manifest.get('device')}"]
    tuned = not config.get("against")
    figures = [_hangs(metrics), _roles(metrics, tuned=tuned), _sound(metrics)]
    return {
        "title": title,
        "about": about,
        "finding": finding(metrics, tuned=tuned),
        "figures": [one for one in figures if one["bars"]],
        "caveat": (
            "a set is certified for this model, this prompt and the facts in this order: greedy answers, each fact "
            "taken out of the text. A fact in no set that was found may be in another; an answer that hangs on "
            "nothing shown stays as it is without any fact, by whatever the model knows or guesses."
        ),
        "live": None,
    }


def finding(metrics: Mapping[str, Any], *, tuned: bool = True) -> str:
    """The sentences that a reader should take away. tuned: the two models differ in an adapter alone."""
    counts, hangs, facts = (metrics.get(name, {}) for name in ("records", "hangs", "facts"))
    done, all_ = counts.get(EXPLAINED, 0), sum(counts.values())
    if not done:
        return f"None of {all_:,} records could be explained: each says why below."
    on = sum(round(hangs[kind]["share"] * done) for kind in ("one", "two", "more", "unreadable") if kind in hangs)
    nothing = round(hangs.get("nothing", {"share": 0})["share"] * done)
    said = [f"Of {done:,} answers, {on:,} hang on facts that were shown, {nothing:,} on nothing that was shown"]
    said[0] += f"; {done - on - nothing:,} have no certified set." if done - on - nothing else "."
    if all(role in metrics for role in ROLES):
        shares = (percent(metrics[role]["mean"]) for role in ROLES)
        two = "{} are of the first alone, {} of both, {} of the other"
        told = "tuning added {}, kept {}, dropped {}" if tuned else two
        said.append(f"Of the facts that answers of either model hang on, {told.format(*shares)}.")
    elif "same_decision" in metrics:
        said.append(f"Both models decide alike in {percent(metrics['same_decision']['share'])}.")
    if facts:
        said.append(f"{facts['never_used']:,} of {facts['shown']:,} different facts are in no set.")
    adapter = metrics.get("adapter", {})
    if adapter.get("unchanged", 0) and adapter["unchanged"] == adapter["modules"]:
        said.append("The adapter changes nothing: every module of it is zero.")
    for one in metrics.get("served", {}).values():
        if one.get("different_answers", 1) > 1:
            ways = f"asked {one['asked_again']} times, in {one['different_answers']} ways"
            most = f"prompts were asked up to {one['repeats']} times, and a certificate holds at 95 %"
            said.append(f"The server answered one prompt, {ways}: {most}.")
    return " ".join(said)


def _hangs(metrics: Mapping[str, Any]) -> dict[str, Any]:
    shares = metrics.get("hangs", {})
    note = caption(next(iter(shares.values()), None), "answers, by the smallest certified set that turns each")
    return chart("Answers hang on", note, shares, {kind: (label, "tuned") for kind, label in HANGS.items()})


def _roles(metrics: Mapping[str, Any], *, tuned: bool) -> dict[str, Any]:
    labels = ROLES if tuned else ("of the first alone", "of both", "of the other alone")
    bars = zip(labels, ("tuned", "both", "base"), strict=True)
    note = caption(metrics.get("kept"), "records, shares of all facts in sets that turn an answer of either model")
    title = "What tuning did to these facts" if tuned else "Facts that answers of the two models hang on"
    return chart(title, note, metrics, dict(zip(ROLES, bars, strict=True)))


def _sound(metrics: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "certified": "sets certified", "as_logged": "answers as logged", "same_decision": "both models alike",
        "memory_of_base": "base needs no fact",
    }  # fmt: skip
    asked, unread = (metrics.get(name, 0) for name in ("asked", "unread"))
    note = f"{asked:,} answers asked, {unread:,} cannot be read"
    note += f"; as logged, of {metrics['as_logged']['n']:,} that the log has" if "as_logged" in metrics else ""
    return chart("How far this goes", note, metrics, {name: (label, "both") for name, label in names.items()})


def cards(folder: Path) -> Iterator[dict[str, Any]]:
    """A section a record: `title`, `hint`, `why` it was not explained, and its `models` and `facts` with marks."""
    for one in islice(stored(folder), MOST_CARDS):
        yield {
            "title": f"{one['id']}: {one['question']}" if one["question"] else one["id"],
            "hint": HANGS[hangs_on(one)] if one["state"] == EXPLAINED else STATE_WORDS[one["state"]],
            "why": one.get("why", ""),
            "logged": one.get("answer"),
            "models": one.get("models", {}),
            "facts": _marked(one),
            "more": {name: value for name, value in one.get("more", {}).items() if name != "entities"},
        }


def decided(decision: str | None) -> str:
    """What is decided, in words. `decided`, `set_words` and `level_words` are filters of the page."""
    return "an answer that cannot be read" if decision is None else decision or "it is gone"


def level_words(told: Mapping[str, Any]) -> str:
    """The sets of documents, facts or sentences in a sentence."""
    sets = {"the answer goes without": told["flip"], "it stays with": told["sufficient"]}
    said = [f"{words} those of {set_words(one)}" for words, one in sets.items() if one and one["found"]]
    more = [told["said"], "" if told["sufficient"] else told["flip"]["note"]]
    return f"Over {told['level']}: {', '.join([*said, *filter(None, more)])}" if said else ""


def _spots(record: Mapping[str, Any]) -> dict[int, list[tuple[int, int]]]:
    """Fact -> the sentences of it, as characters of its text, in a set that was found."""
    levels = record.get("models", {}).get(TUNED, {}).get("levels", [])
    found = [one for level in levels for one in (level["flip"], level["sufficient"]) if one and one["found"]]
    spots = sorted({tuple(spot) for one in found for spot in one.get("spots", [])})
    return {fact: [(s[1], s[2]) for s in spots if s[0] == fact and len(s) > 1] for fact in {s[0] for s in spots}}


def _parted(text: str, spots: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
    """A text in pieces, each with whether a set has it."""
    ends = sorted({0, len(text), *(end for spot in spots for end in spot)})
    return [(text[a:b], (a, b) in spots) for a, b in pairwise(ends)]


def set_words(found: Mapping[str, Any]) -> str:
    """The numbers of a set's facts."""
    numbers = ", ".join(str(i + 1) for i in found["facts"]) or "none"
    return f"{numbers}{'' if found['certified'] else ' (not certified)'}"


def _marked(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts with what each is: `added`, `kept`, `dropped`, `unsure` by tuning, and whether any set has it."""
    members = used(record) if record["state"] == EXPLAINED else set()
    changed = record.get("changed") or {}
    roles = {i: role for role, numbers in changed.items() for i in numbers}
    spots = _spots(record)
    return [
        {"parts": _parted(text, spots.get(i, [])), "used": i in members, "role": roles.get(i, "")}
        for i, text in enumerate(record["facts"])
    ]


def unused(folder: Path) -> list[str]:
    """Facts that are in no set, with how often they were shown; the most often shown first."""
    never = [(shown, text) for text, (shown, hits) in fact_uses(stored(folder)).items() if not hits]
    return [f"{text} ({shown:,})" for shown, text in sorted(never, key=lambda one: (-one[0], one[1]))]
