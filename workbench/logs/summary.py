"""What a log's records say together, and what of a record may be shown where its texts are private."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.artifacts.stage import LOG

(STAGE,) = LOG
RECORDS = "records.jsonl"
TUNED, BASE = "tuned", "base"  # names of the two that are asked
EXPLAINED, UNREAD, REFUSED, FAILED = "explained", "unread", "refused", "failed"
STATES = (EXPLAINED, UNREAD, REFUSED, FAILED)
"""A record's end: its answer can be read and was searched; it cannot be read; the record, or asking it, has a fault."""
ROLES = ("added", "kept", "dropped")


def stored(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The records of an explained log, as its run folder has them, one at a time."""
    with open(Path(folder) / STAGE / RECORDS, encoding="utf-8") as file:
        yield from map(json.loads, file)


def used(record: Mapping[str, Any]) -> set[int]:
    """Numbers of the facts in any set that was found of the tuned model."""
    one = record["models"][TUNED]
    sets = [*one["flips"], one["breaks"], one["sufficient"]]
    return {fact for found in sets if found and found["found"] for fact in found["facts"]}


def hangs_on(record: Mapping[str, Any]) -> str:
    """On what the tuned model's answer hangs: `one`, `two` or `more` facts, by its smallest set; `unreadable`,
    where no set turns it but one leaves nothing that can be read; `nothing` that was shown; `unknown`."""
    one = record["models"][TUNED]
    sizes = [len(found["facts"]) for found in one["flips"] if found["certified"]]
    if sizes:
        return ("one", "two", "more")[min(min(sizes), 3) - 1]
    return "nothing" if one["memory"] else "unreadable" if one["breaks"] else "unknown"


KINDS = ("one", "two", "more", "unreadable", "nothing", "unknown")


def summary(records: Sequence[Mapping[str, Any]], *, seed: int = 0) -> dict[str, Any]:
    """Metrics of a log: counts and shares of its records, shares with their 95 % interval and n.

    Returns:
        `records`, a number each state; `hangs`, shares of the explained by `hangs_on`; `certified`, share of the sets
        found that have a certificate; `as_logged`, share of the log's answers that the model gives too, of all that
        it was asked for: one that cannot be read is another; `facts`: `shown` and `never_used`, numbers of different
        ones; `asked` and `unread`, numbers of answers; of two models: `same_decision`, `memory_of_base` (shares),
        `added`, `kept`, `dropped` (shares of the facts that an answer of either hangs on). Shares of nothing are left
        out.
    """
    from workbench.stats import proportion  # brings scipy, which a report of what is stored does without

    done = [one for one in records if one["state"] == EXPLAINED]
    kinds = Counter(map(hangs_on, done))
    found: dict[str, Any] = {
        "records": {state: sum(one["state"] == state for one in records) for state in STATES},
        "facts": _facts(done),
    }
    asked = [model for one in records for model in one.get("models", {}).values()]
    found |= {name: sum(model[name] for model in asked) for name in ("asked", "unread")}
    if done:
        found["hangs"] = {kind: proportion([hangs_on(one) == kind for one in done])._asdict() for kind in KINDS}
        found["hangs"] = {kind: share for kind, share in found["hangs"].items() if kinds[kind]}
    sets = [
        s for one in done for m in one["models"].values() for s in (*m["flips"], m["sufficient"]) if s and s["found"]
    ]
    shares = {
        "certified": [one["certified"] for one in sets],
        "as_logged": [one["as_logged"] for one in records if one.get("as_logged") is not None],
        "same_decision": [len({m["decision"] for m in one["models"].values()}) == 1 for one in done if _pair(one)],
        "memory_of_base": [one["models"][BASE]["memory"] for one in done if _pair(one)],
    }
    found |= {name: proportion(hits)._asdict() for name, hits in shares.items() if hits}
    return found | _roles([one["changed"] for one in done if one["changed"]], seed)


def _pair(record: Mapping[str, Any]) -> bool:
    return BASE in record["models"] and record["models"][BASE]["decision"] is not None


def _roles(changed: Sequence[Mapping[str, Sequence[int]]], seed: int) -> dict[str, Any]:
    from workbench.stats import bootstrap_ratio

    counts = {role: [len(one[role]) for one in changed] for role in ROLES}
    whole = np.sum(list(counts.values()), axis=0)
    if not np.any(whole):
        return {}
    shares = {role: bootstrap_ratio(counts[role], whole, rng=np.random.default_rng(seed)) for role in ROLES}
    return {role: s._replace(low=max(0.0, s.low), high=min(1.0, s.high))._asdict() for role, s in shares.items()}


def bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """What `summary` needs of a record, small enough to hold that of a whole log: its facts are digests."""
    keys = ("decision", "memory", "flips", "breaks", "sufficient", "asked", "unread")
    kept = {name: record[name] for name in ("state", "changed", "as_logged") if name in record}
    facts = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest()) for one in record["facts"]]
    decided = dict[str | None, int | None]({None: None})  # equal decisions by equal numbers
    models = {
        name: {key: one[key] for key in keys if key != "decision"}
        | {"decision": decided.setdefault(one["decision"], len(decided))}
        for name, one in record.get("models", {}).items()
    }
    return kept | ({"models": models} if models else {}) | {"facts": facts}


def fact_uses(records: Iterable[Mapping[str, Any]]) -> dict[Any, list[int]]:
    """Each different fact of explained records -> in how many it was shown, and in how many it is in a set."""
    uses: dict[Any, list[int]] = {}
    for one in records:
        if one["state"] == EXPLAINED:
            members = used(one)
            for number, text in enumerate(one["facts"]):
                row = uses.setdefault(text, [0, 0])
                row[0], row[1] = row[0] + 1, row[1] + (number in members)
    return uses


def _facts(done: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    uses = fact_uses(done)
    return {"shown": len(uses), "never_used": sum(hits == 0 for _, hits in uses.values())}


def redacted(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its texts: facts and answers as numbers, equal decisions by the same letter."""
    names: dict[str | None, str | None] = {None: None}

    def letter(decision: str | None) -> str | None:
        return names.setdefault(decision, f"decision {len(names)}")

    def bare_set(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return {**found, "to": letter(found["to"])} if found else None

    kept = {**record, "id": f"line {record['line']}", "question": "", "answer": None, "more": {}}
    kept["facts"] = [f"line {record['line']}, fact {i + 1}" for i in range(len(record["facts"]))]

    def private(one: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = {name: letter(one[name]) for name in ("decision", "without_any") if name in one}
        found |= {name: bare_set(one[name]) for name in ("breaks", "sufficient", "flip") if name in one}
        found |= {name: list(map(bare_set, one["flips"])) for name in ("flips",) if name in one}
        found |= {name: list(map(private, one["levels"])) for name in ("levels",) if name in one}
        return {**one, **found, **more}

    kept["models"] = {
        name: private(one, answer="", spans=[private(x, span=f"span {i + 1}") for i, x in enumerate(one["spans"])])
        for name, one in record.get("models", {}).items()
    }
    return kept
