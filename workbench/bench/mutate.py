"""Records damaged as registries damage them, and worse: values lost, of a wrong type, nested, huge, unprintable."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

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
        DAMAGES[int(rng.integers(len(DAMAGES)))](holder, key, rng)
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


def _delete(holder: Any, key: Any, rng: np.random.Generator) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, rng: np.random.Generator) -> None:
    holder[key] = copy.deepcopy(HOSTILE[int(rng.integers(len(HOSTILE)))])


def _nest(holder: Any, key: Any, rng: np.random.Generator) -> None:
    for _ in range(int(rng.choice([1, 2, 30]))):
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"x": holder[key]}


def _double(holder: Any, key: Any, rng: np.random.Generator) -> None:
    holder[key] = [holder[key], copy.deepcopy(holder[key])]


def _rename(holder: Any, key: Any, rng: np.random.Generator) -> None:
    if isinstance(holder, dict):
        holder[str(HOSTILE[int(rng.integers(len(HOSTILE)))])[:50]] = holder.pop(key)


def _swap(holder: Any, key: Any, rng: np.random.Generator) -> None:
    other = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    mate = other[int(rng.integers(len(other)))]
    holder[key], holder[mate] = holder[mate], holder[key]


DAMAGES: tuple[Callable[[Any, Any, np.random.Generator], None], ...] = (
    _delete, _replace, _replace, _nest, _double, _rename, _swap,
)  # fmt: skip
