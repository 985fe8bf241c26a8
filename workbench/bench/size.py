"""`bench size`: lines of code, room by room; what docstrings, comments and blank lines hold does not count."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from pathlib import Path

from workbench.artifacts.origin import PACKAGE_FOLDER
from workbench.bench import Say

SILENT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """`table`: files and lines of every room, of the whole package and of the tests beside it. Nothing else is used."""
    rooms: defaultdict[str, list[int]] = defaultdict(list)
    for path in sorted(PACKAGE_FOLDER.rglob("*.py")):
        inside = path.relative_to(PACKAGE_FOLDER).parts
        for name in (inside[0].removesuffix(".py"), "workbench"):
            rooms[name].append(code_lines(path.read_text("utf-8")))
    for path in sorted((PACKAGE_FOLDER.parent / "tests").glob("*.py")):
        rooms["tests"].append(code_lines(path.read_text("utf-8")))
    table = [{"room": name, "files": len(some), "lines": sum(some)} for name, some in rooms.items()]
    return {"table": sorted(table, key=lambda row: -row["lines"])}


def code_lines(source: str) -> int:
    """How many lines hold code.

    >>> code_lines("x = 1  # why")
    1
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if ast.get_docstring(node):
                lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)
