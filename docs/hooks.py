"""What the site is made of beside its pages of markdown: lessons, reference, tables; and a check of every link.

Lessons are the executed notebooks of a finished run (`WORKBENCH_DOCS_RUN`), or their sources where there is none:
nothing is executed here. The reference lists what each room offers, read from the sources: nothing is imported.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from workbench.artifacts.stage import STAGES
from workbench.hands.report.render import Rendered, render_notebook

ROOT = Path(__file__).resolve().parent.parent
RUN = Path(os.environ.get("WORKBENCH_DOCS_RUN", ROOT / "runs" / "demo"))
ROOMS = {
    **{room: room for room in "kg cases models pretrain train game explain attribution shift stats".split()},
    **{"importers": "kg.importers", "figures": "figures", "panel": "hands.panel", "lesson": "hands.lesson"},
}
"""Page of the reference -> the room it tells of."""
COPIED = {"contributing": "CONTRIBUTING", "changes": "CHANGELOG"}
LESSON = {f"lessons/{name}.md": name for name in STAGES.values()}
FETCHED = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
log = logging.getLogger("mkdocs.hooks.docs")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    made = {f"reference/{page}.md": _reference(room) for page, room in ROOMS.items()}
    made |= {uri: _lesson_text(name) for uri, name in LESSON.items()}
    made |= {f"{page}.md": (ROOT / f"{name}.md").read_text("utf-8") for page, name in COPIED.items()}
    made["commands.md"] = _section("The command line")
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def _section(title: str) -> str:
    """A section of the README as a page."""
    text = (ROOT / "README.md").read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    return f"# {title}\n{text.replace('](docs/', '](')}"


def _reference(room: str) -> str:
    names = "".join(
        f"        - {name}\n" for name in offered(ROOT / "workbench" / room.replace(".", "/") / "__init__.py")
    )
    return f"# {room}\n\n::: workbench.{room}\n    options:\n      show_root_heading: false\n      members:\n{names}"


def offered(init: Path) -> list[str]:
    """The names of a room: `__all__` where it has one, else its own and those imported from the files below it."""
    names: list[str] = []
    below = ".".join(init.parent.relative_to(ROOT).parts)
    for node in ast.parse(init.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(below):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    return [name for name in names if not name.startswith("_")]


@functools.cache
def _lesson(name: str) -> Rendered:
    executed = RUN / "notebooks" / f"{name}.ipynb"
    source = executed if executed.is_file() else ROOT / "notebooks" / f"{name}.ipynb"
    return render_notebook(nbformat.read(source, as_version=4))


def _lesson_text(name: str) -> str:
    """The headings; what stands below each is put in once markdown has been read."""
    found = _lesson(name)
    parts = [f"## {part.title}\n\n{_slot(number)}\n" for number, part in enumerate(found.parts)]
    return "\n".join([f"# {found.title}\n", *parts])


def _slot(number: int) -> str:
    return f'<div class="part" id="part-{number}"></div>'


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts results where a page names their file: `{{ table peers.json }}`, `{{ about peers.json }}`."""
    return re.sub(r"\{\{ (table|about) (\S+) \}\}", lambda found: _told(found[1], ROOT / "docs" / found[2]), markdown)


def _told(what: str, path: Path) -> str:
    result = json.loads(path.read_text("utf-8"))
    return _table(result["figures"]) if what == "table" else _about(result)


def _about(result: dict[str, Any]) -> str:
    """On what a result of `bench peers` was measured, in a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    cases = max(line["n"] for line in result["figures"].values())
    how = " (`--quick`)" if result["quick"] else ""
    return (
        f"Measured{how} on {cases} held-out case{'s' * (cases > 1)} of a default run, model `{result['model']}`, "
        f"{result['device']}, {result['threads']} thread, {packages}. Means over the n cases of a row with their 95 % "
        "intervals, which of equal values have no width; the order of two methods whose intervals overlap is not known."
    )


JUDGED = ("top_k_drop", "lds", "flips", "until_flip", "agreement")
SPENT = ("calls", "rows", "difference")
"""Without intervals. How long a call took is of the machine and of what else it did: seconds are in the file alone."""


def _table(figures: dict[str, dict[str, Any]]) -> str:
    head = ["method", "n", *JUDGED, *SPENT]
    lines = [head, ["---"] * len(head)]
    for name, line in figures.items():
        title = name if line["package"] == "workbench" else f"{line['package']}: {name}"
        judged = [_cell(line.get(key), interval=True) for key in JUDGED]
        lines.append([title, str(line["n"]), *judged, *(_cell(line.get(key), interval=False) for key in SPENT)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(found: dict[str, float] | None, *, interval: bool) -> str:
    if found is None:
        return ""
    wide = interval and found["n"] > 1
    return f"{found['mean']:.3g}" + (f" [{found['low']:.3g}, {found['high']:.3g}]" if wide else "")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Puts the parts of a lesson below their headings."""
    if page.file.src_uri not in LESSON:
        return html
    for number, part in enumerate(_lesson(LESSON[page.file.src_uri]).parts):
        body = "".join(part.body).replace('<details class="code">', '<details class="code" open>')
        html = html.replace(_slot(number), re.sub(r'href="(?:\.\./)?(\w+)\.ipynb', r'href="\1.html', body))
    return html


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The theme fetches what lets the search run from a disk; ours lies in the site."""
    return output.replace(FETCHED, f'<script src="{"../" * page.url.count("/")}search.js"></script>')


class _Links(HTMLParser):
    """What a page refers to, what it loads, and the places in it that others may refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.refers: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {value for value in (given.get("id"), given.get("name")) if value}
        target = given.get("href") or given.get("src")
        if target and not target.startswith("data:"):
            loaded = tag not in ("a", "link") or given.get("rel") in ("stylesheet", "icon", "preload")
            (self.loads if loaded else self.refers).append(target)


def on_post_build(config: MkDocsConfig) -> None:
    """Warns, which fails the build, of every link that leads nowhere and of whatever is loaded from elsewhere."""
    site = Path(config.site_dir)
    (site / "404.html").unlink()  # for servers, of absolute links
    pages = {path.resolve(): _Links(path.read_text("utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for target in dict.fromkeys(page.loads + page.refers):
            if problem := _problem(path, target, pages, loaded=target in page.loads):
                log.warning("%s: %s %s", path.relative_to(site.resolve()), target, problem)


def _problem(path: Path, target: str, pages: dict[Path, _Links], *, loaded: bool) -> str:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return "is loaded from elsewhere" if loaded else ""
    place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    place = place / "index.html" if place.is_dir() else place
    if not place.is_file():
        return "leads nowhere"
    known = pages[place].places if place in pages else set()
    return "names no place there" if parts.fragment and unquote(parts.fragment) not in known else ""
