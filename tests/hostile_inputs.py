"""Hostile inputs, generated: texts that try paths, shells, HTML, formulas and terminals, and places to put them."""

import json
import random
from collections.abc import Iterator
from typing import Any

TEXTS = [
    *("../../outside", "/tmp/../etc/passwd", "~root/x", "..", ".", "", " ", "a\0b", "a\nb", "a\rb", "\x1b[2Jx"),
    *("; rm -rf .", "$(touch outside)", "`touch outside`", "| touch outside", "&& touch outside", "%s%n", "{seed}"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "]]><x/>", "\"'><b>"),
    *("=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(A1)", "\ud800", "x" * 5000, "CON", "nul.txt", "a/b/c", "-rf", "--help"),
    *("__import__('os').system('touch outside')", "\u0000", "\u202egpj", "😀" * 200, "file:///etc/passwd", "{{0}}"),
    *("http://127.0.0.1:1/x", "[red]x[/red]"),
]
VALUES: list[Any] = [None, True, 0, -1, 10**30, 1.5, "", "x", [], {}, [[]], {"a": {"b": []}}, [None], "\0", "../x"]

COMMANDS = """
kg ask HERE/GRAPH --from absent
kg ask HERE/GRAPH --from sra --to absent
kg ask HERE/GRAPH --from tool:samtools
kg ask HERE/GRAPH --from sra --to license:MIT
kg ask HERE/GRAPH --from sra --to BAM --k 0
kg ask HERE/GRAPH --from sra --to BAM --k -1
kg ask PLACE --from sra
kg merge HERE/GRAPH --out m.json
kg merge HERE/GRAPH HERE/GRAPH --out m.json
kg merge HERE/GRAPH biotoolkg --out m.json --at-least nan
kg merge HERE/GRAPH biotoolkg --out m.json --at-least 2
kg merge HERE/GRAPH biotoolkg --out .
kg merge HERE/GRAPH biotoolkg --out file/m.json
kg merge HERE/GRAPH PLACE --out m.json
kg import biotools PLACE --out m.json
kg import absent HERE/GRAPH --out m.json
show PLACE
show PLACE --stage kg
show PLACE --stage absent
diff PLACE PLACE
verify PLACE
bench absent --json m.json
bench planted
bench planted --json absent/m.json
bench planted --json m.json --seed -1
bench planted --json m.json --parts rows
bench gpu --json m.json --parts nothing
bench gpu --json m.json --seconds nan
bench planted --json m.json --seed 99999999999999999999999
bench compare HERE/GRAPH
bench compare PLACE PLACE
bench compare HERE/GRAPH HERE/GRAPH
sweep PLACE --out m
sweep HERE/GRAPH --out m
""".strip().splitlines()
"""What is to be refused. HERE/GRAPH: a graph; PLACE: each of `PLACES`, which are no graph, run, result or grid."""
PLACES = ["folder", "file", "empty.json", "absent", "/dev/null", "/dev", "fifo/../absent", "~nobody-of-this-name/x"]


def manifests(rng: random.Random, count: int) -> Iterator[str]:
    """Manifests of a stage in which one thing, or the whole, is something else."""
    sound = {
        "stage": "kg", "workbench": "0.1.0", "finished": "now", "seconds": 1.0, "seed": 1, "device": "cpu",
        "python": "3", "platform": "p", "machine": {}, "packages": {}, "config": {"a": 1}, "ledger": None,
        "code": {"revision": None, "edited": None, "package_sha256": "0", "sources": {"artifacts/runs.py": "0"}},
        "inputs": {"kg": {"path": "run:kg", "sha256": "0"}}, "files": {"a.txt": "0"}, "metrics": {"n": 1},
    }  # fmt: skip
    for number in range(count):
        made = json.loads(json.dumps(sound))
        name = rng.choice(list(made))
        kind = number % 4
        if kind == 0:
            made[name] = rng.choice(VALUES)
        elif kind == 1:
            made[name] = rng.choice(TEXTS)
        elif kind == 2 and isinstance(made[name], dict):
            made[name] = {rng.choice(TEXTS): rng.choice([*VALUES, {"path": rng.choice(TEXTS), "sha256": "0"}])}
        else:
            made = rng.choice([made["files"], [], "x", {"files": {rng.choice(TEXTS): "0"}, "inputs": {}}])
        yield json.dumps(made)
    yield "[" * 100_000
    yield '{"files": NaN}'
    yield "9" * 10_000


def notebooks(rng: random.Random, count: int) -> Iterator[str]:
    """Documents in place of a notebook: no notebook, no parameters cell, a cell that is something else."""
    for _ in range(count):
        source = rng.choice([*TEXTS, "run_dir = 1 / 0", "run_dir = f'{x}'", "run_dir: int", "import os", "(" * 500])
        tags = rng.choice([["parameters"], [], "parameters", None, [1], {"parameters": 1}])
        cell = {"cell_type": rng.choice(["code", "markdown", "evil"]), "source": source, "metadata": {"tags": tags}}
        cell |= {"outputs": [], "execution_count": None, "id": "a"}
        whole = {"cells": [cell], "metadata": {}, "nbformat": rng.choice([4, 3, 99, "4"]), "nbformat_minor": 5}
        yield rng.choice([json.dumps(whole)] * 4 + ["", "{", "[]", "null", json.dumps({"cells": 3})])
