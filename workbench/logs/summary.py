"""What was found of a log's records: what they say together, what of private ones may be shown, and rows in a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts.files import open_itself
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


def summary(records: Iterable[Mapping[str, Any]], *, seed: int = 0) -> dict[str, Any]:
    """Metrics of a log: counts and shares of its records, shares with their 95 % interval and n.

    Returns:
        `records`, a number each state; `hangs`, shares of the explained by `hangs_on`; `certified`, share of the sets
        found that have a certificate; `as_logged`, share of the log's answers that the model gives too, of all that
        it was asked for: one that cannot be read is another; `facts`: `shown` and `never_used`, numbers of different
        ones; `asked` and `unread`, numbers of answers; of two models: `same_decision`, `memory_of_base` (shares),
        `added`, `kept`, `dropped` (shares of the facts that an answer of either hangs on). Shares of nothing are left
        out.
    """
    # brings scipy, which a report of what is stored does without
    from workbench.stats.intervals import proportion, shares_of_all

    records = [_bare(one) for one in records]
    done = [one for one in records if one["state"] == EXPLAINED]
    uses, kinds = fact_uses(done), Counter(map(hangs_on, done))
    found: dict[str, Any] = {
        "records": {state: sum(one["state"] == state for one in records) for state in STATES},
        "facts": {"shown": len(uses), "never_used": sum(hits == 0 for _, hits in uses.values())},
    }
    asked = [model for one in records for model in one.get("models", {}).values()]
    found |= {name: sum(model[name] for model in asked) for name in ("asked", "unread")}
    if done:
        hits = {kind: [hangs_on(one) == kind for one in done] for kind in KINDS if kinds[kind]}
        found["hangs"] = {kind: proportion(some)._asdict() for kind, some in hits.items()}
    models = [model for one in done for model in one["models"].values()]
    sets = [s for one in models for s in (*one["flips"], one["sufficient"]) if s and s["found"]]
    pairs = [one["models"] for one in done if BASE in one["models"] and one["models"][BASE]["decision"] is not None]
    shares = {
        "certified": [one["certified"] for one in sets],
        "as_logged": [one["as_logged"] for one in records if one.get("as_logged") is not None],
        "same_decision": [pair[TUNED]["decision"] == pair[BASE]["decision"] for pair in pairs],
        "memory_of_base": [pair[BASE]["memory"] for pair in pairs],
    }
    found |= {name: proportion(hits)._asdict() for name, hits in shares.items() if hits}
    counts = {role: [len(one["changed"][role]) for one in done if one["changed"]] for role in ROLES}
    return found | {role: share._asdict() for role, share in shares_of_all(counts, seed=seed).items()}


def _bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """What `summary` needs of a record, small enough to hold that of a whole log: its facts are digests."""
    keys = ("memory", "flips", "breaks", "sufficient", "asked", "unread")
    kept = {name: record[name] for name in ("state", "changed", "as_logged") if name in record}
    facts = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest()) for one in record["facts"]]
    decided = dict[str | None, int | None]({None: None})  # equal decisions by equal numbers
    models = {
        name: {key: one[key] for key in keys} | {"decision": decided.setdefault(one["decision"], len(decided))}
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


Row = dict[str, Any]
Failed = Callable[[int, str, str, Exception], Row]
"""f(line, id, state, error): the row of a record that could not be explained."""


class Rows(Sequence[Row]):
    """Rows in a file of JSON lines, in the order of their `line`; of a row only its place is in memory. What a kill has
    cut off is passed over. but: as are rows of this state."""

    def __init__(self, file: Path, *, but: str | None = None):
        self.file, self.places, place = file, dict[int, int](), 0
        if file.is_file():
            with open(file, "rb") as lines:
                for text in lines:
                    if (row := _row(text)) is not None and (but is None or row.get("state") != but):
                        self.places[row["line"]] = place
                    place += len(text)

    @classmethod
    def of(cls, folder: Path, settings: object) -> Rows:
        """Those in a folder that were made with the same settings; what failed is to be asked again."""
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]
        return cls(folder / f"rows-{name}.jsonl", but=FAILED)

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows; they are on the disk when this returns."""
        with open_itself(self.file, "ab") as out:
            out.write(b"\n")  # whatever a stop has left of the last one
            for row in rows:
                self.places[row["line"]] = out.tell()
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, line: object) -> bool:
        return line in self.places

    def __iter__(self) -> Iterator[Row]:
        with open(self.file, "rb") as file:
            for line in sorted(self.places):
                file.seek(self.places[line])
                yield json.loads(file.readline())

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        with open(self.file, "rb") as file:
            file.seek(self.places[sorted(self.places)[at]])
            return json.loads(file.readline())


def _row(text: bytes) -> Row | None:
    try:
        row = json.loads(text)
        return row if isinstance(row, dict) and isinstance(row.get("line"), int) else None
    except ValueError:
        return None
