"""A sound record for every importer, damaged as registries damage records, and worse: values lost, of a wrong type,
nested, huge, unprintable; and the files they are written to."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Tree = Any  # what JSON holds

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 3.5, 1e308, 10**40, "", " ", "\0", "\x1b[31m", "a\tb\nc", "\ud800", "é" * 300, "‮abc",
    "A" * 20_000, "../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x", "format_25722", "data_3681",
    "http://edamontology.org/format_3989", "EDAM:data_0848", "topic_0003", "*.{bam,cram}", "*.{" + "a," * 200 + "}",
    "{" * 40, "${x}.{a,b}.gz", "<b>&amp;</b>", "=1+1", "null", "~", [], {}, [[]], {"": ""}, [None, 1, "x"],
    {"uri": 5, "term": []}, {"id": {"id": {}}}, "10.1/x", "GPL (>= 2)", "%s%n", "名前", "a" + "\u0301" * 100,
)  # fmt: skip
PIECES = (
    b"\0", b"\xff\xfe", b"<", b">", b"&", b"&x;", b'"', b"'", b"{", b"}", b"[", b"]", b":", b"\t", b"\n", b"\r\n",
    b"- ", b"*a", b"&a ", b"<!DOCTYPE x [<!ENTITY e 'eee'>]>", b"<!-- ", b"]]>", b"@prefix", b" . ", b"_:b",
    b"http://[::1",
    b"\xed\xa0\x80", b"1" * 5000, b"[" * 300, b"<a>" * 120, b"format_25722", b"!!python/object:os.system ",
)  # fmt: skip


def damaged(tree: Tree, rng: np.random.Generator, *, times: int = 3) -> Tree:
    """A copy of `tree` with up to `times` damages at places drawn at random."""
    tree = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, times + 1))):
        places = _places(tree)
        if not places:
            return HOSTILE[int(rng.integers(len(HOSTILE)))]
        holder, key = places[int(rng.integers(len(places)))]
        _damage(holder, key, rng)
    return tree


def damaged_bytes(content: bytes, rng: np.random.Generator, *, times: int = 3) -> bytes:
    """`content` with up to `times` pieces cut out, doubled, put in or bytes changed."""
    for _ in range(int(rng.integers(1, times + 1))):
        start = int(rng.integers(len(content) + 1))
        end = min(len(content), start + int(rng.integers(1, 40)))
        kind = int(rng.integers(4))
        middle = {
            0: b"",
            1: content[start:end] * 2,
            2: PIECES[int(rng.integers(len(PIECES)))] + content[start:end],
            3: bytes(rng.integers(0, 256, size=end - start, dtype=np.uint8)),
        }[kind]
        content = content[:start] + middle + content[end:]
    return content


def _places(tree: Tree) -> list[tuple[Any, Any]]:
    """Every (container, key or index) of the tree."""
    found, waiting = [], [tree]
    while waiting:
        one = waiting.pop()
        pairs = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, value in list(pairs):
            found.append((one, key))
            waiting.append(value)
    return found


def _damage(holder: Any, key: Any, rng: np.random.Generator) -> None:
    """One value is lost, replaced, nested, doubled, called otherwise, or exchanged for its neighbour."""
    hostile, kind = HOSTILE[int(rng.integers(len(HOSTILE)))], int(rng.integers(7))
    if kind == 0:
        del holder[key]
    elif kind <= 2:
        holder[key] = copy.deepcopy(hostile)
    elif kind == 3:
        for _ in range(int(rng.choice([1, 2, 30]))):
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"x": holder[key]}
    elif kind == 4:
        holder[key] = [holder[key], copy.deepcopy(holder[key])]
    elif kind == 5 and isinstance(holder, dict):
        holder[str(hostile)[:50]] = holder.pop(key)
    else:
        others = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        mate = others[int(rng.integers(len(others)))]
        holder[key], holder[mate] = holder[mate], holder[key]


RECORDS = Path(__file__).parent / "data" / "records"
TREES = ("nfcore", "biotools", "workflow", "tool", "command", "triple")
NFCORE, BIOTOOLS, WORKFLOW, TOOL, COMMAND, TRIPLE = (json.loads((RECORDS / f"{n}.json").read_bytes()) for n in TREES)
FILES = ("galaxy.xml", "edam.owl", "facts.ttl", "facts.graphml")
GALAXY, OWL, TURTLE, GRAPHML = ((RECORDS / name).read_bytes() for name in FILES)

Write = Callable[[Path, int, np.random.Generator], None]


class Fuzz(NamedTuple):
    """How an importer is fuzzed: `write` puts `records` damaged records below a folder; `path` is what is imported.

    intact: a node that a sound record among the damaged ones gives, "" where each file holds one record.
    """

    write: Write
    path: str
    intact: str = ""
    batch: int = 25


def _lines(*sound: tuple[str, Any, Any]) -> Write:
    """JSON lines: damaged records and, last, a sound one under another name. sound: (file, record, change)."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for file, record, change in sound:
            rows = [_dumped(record, rng) for _ in range(records)]
            rows.append(json.dumps({**record, **change}).encode())
            (folder / file).write_bytes(b"\n".join(rows))

    return write


def _dumped(record: Any, rng: np.random.Generator) -> bytes:
    """A damaged record as JSON, which is YAML too, on one line, one in five with damaged bytes as well."""
    line = json.dumps(damaged(record, rng)).encode()
    return damaged_bytes(line, rng).replace(b"\n", b" ").replace(b"\r", b" ") if rng.random() < 0.2 else line


def _page(record: Any, change: Any) -> Write:
    """A page of an interface: {"list": [...]}, the sound record among the damaged ones."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        rows = [damaged(record, rng) for _ in range(records)]
        rows.insert(int(rng.integers(records + 1)), {**record, **change})
        (folder / "page.json").write_text(json.dumps({"count": records, "list": rows, "next": None}))

    return write


def _files(sound: Any, name: str) -> Write:
    """A file per record: bytes are damaged as such, records as trees and, one in five, as bytes as well."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for number in range(records):
            place = folder / name.format(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(damaged_bytes(sound, rng) if isinstance(sound, bytes) else _dumped(sound, rng))

    return write


FUZZ: dict[str, Fuzz] = {
    "nfcore": Fuzz(_files(NFCORE, "m{}/meta.yml"), "."),
    "biotools": Fuzz(_page(BIOTOOLS, {"biotoolsID": "intact"}), "page.json", "tool:intact"),
    "galaxy": Fuzz(_files(GALAXY, "tool{}.xml"), "."),
    "workflow": Fuzz(_files(WORKFLOW, "w{}.ga"), "."),
    "edam": Fuzz(_files(OWL, "e{}.owl"), "."),
    "rdf": Fuzz(_files(TURTLE, "r{}.ttl"), "."),
    "triples": Fuzz(_lines(("t.jsonl", TRIPLE, {"head": "intact"})), "t.jsonl", "command:intact", batch=50),
    "graphml": Fuzz(_files(GRAPHML, "g{}.graphml"), "."),
    "tables": Fuzz(
        _lines(("registry.jsonl", TOOL, {"id": "intact"}), ("components.jsonl", COMMAND, {"id": "galaxy:intact"})),
        ".",
        "command:galaxy:intact",
    ),
}
