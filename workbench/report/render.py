"""One executed notebook as HTML that needs nothing from elsewhere and runs nothing.

Every output shows its static face: SVG or PNG before HTML, so a widget or a plotly figure with a picture as its twin
is seen. All HTML that came out of a cell passes an allow-list; formulas become pictures drawn by matplotlib.
"""

import base64
import functools
import html
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif")  # sharpest first
ALT = 1000  # characters of a picture's alternative text
LARGEST_HTML = 1_000_000  # characters; beyond that it is a bundled script, not a table
LIVE_ONLY = ("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "application/javascript")
SPELLED = {r"\le": r"\leq", r"\ge": r"\geq", r"\tfrac": r"\frac", r"\lVert": r"\|", r"\rVert": r"\|", r"\lvert": "|"}
SPELLED |= {r"\rvert": "|"} | {
    rf"\{size}{side}": "" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r")
}
"""LaTeX that matplotlib draws only under another name."""

TAGS = frozenset(
    "a abbr b blockquote br caption code col colgroup dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s "
    "small span strong sub summary details sup table tbody td tfoot th thead tr u ul".split()
)
ATTRIBUTES = frozenset("alt class colspan height id open rowspan scope style title width".split())


@dataclass(frozen=True)
class Rendered:
    """HTML of a notebook and its headings as (level, id, escaped text)."""

    body: str
    headings: list[tuple[int, str, str]]


Note = Callable[[int, str], str]
"""(number of a code cell from 1, text of the heading above it) -> HTML to stand below a figure of that cell."""


def render_notebook(notebook: nbformat.NotebookNode, *, prefix: str, note: Note | None = None) -> Rendered:
    """Render an executed notebook; ids of headings begin with `prefix`, `note` gives what stands below figures."""
    page = _Page(prefix)
    parts, number = [], 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(f'<div class="prose">{page.markdown(cell.source, cell.get("attachments"))}</div>')
        elif cell.cell_type == "code" and cell.source.strip():
            number += 1
            outputs = "".join(_output(page, output) for output in cell.outputs)
            below = note(number, html.unescape(page.headings[-1][2]) if page.headings else "") if note else ""
            parts.append(f"{_code(cell)}{outputs}{below if any(map(_is_result, cell.outputs)) else ''}")
    return Rendered("\n".join(parts), page.headings)


class _Page(IPythonRenderer):
    """Markdown of one notebook: gathers headings, draws formulas."""

    def __init__(self, prefix: str) -> None:
        super().__init__(escape=False)
        self.headings: list[tuple[int, str, str]] = []
        self._ids = (f"{prefix}-{number}" for number in itertools.count(1))

    def markdown(self, source: str, attachments: Mapping[str, Any] | None = None) -> str:
        """Safe HTML of a markdown text."""
        self.attachments = dict(attachments or {})
        return clean(MarkdownWithMath(renderer=self).render(source))

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        name = next(self._ids)
        self.headings.append((level, name, html.escape(html.unescape(re.sub("<[^>]*>", "", text)))))
        level = min(level + 1, 6)  # the page's own title is the only h1
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def inline_math(self, body: str) -> str:
        return formula(body)

    def block_math(self, body: str) -> str:
        lines = [line for line in body.replace("&", "").split(r"\\") if line.strip()]
        return "".join(f'<div class="formula">{formula(line)}</div>' for line in lines)

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(body)


@functools.cache
def formula(latex: str) -> str:
    """A formula as an `<img>` with its source as alternative text; `<code>` where matplotlib cannot draw it."""
    source = " ".join(latex.split())
    drawn = re.sub(r"\\[A-Za-z]+", lambda name: SPELLED.get(name[0], name[0]), source)
    buffer = io.BytesIO()
    try:
        depth = math_to_image(f"${drawn}$", buffer, prop=FontProperties(size=12), dpi=72, format="svg")  # in points
    except (ValueError, RuntimeError):
        return f'<code class="formula">{html.escape(source)}</code>'
    return _picture("image/svg+xml", buffer.getvalue(), alt=source, extra=f' style="vertical-align: -{depth:.1f}pt"')


def clean(text: str) -> str:
    """HTML limited to harmless tags and attributes; pictures only as data inside the page."""
    text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>", "", text)
    cleaned = bleach.clean(
        text,
        tags=TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=CSSSanitizer(),
        strip=True,
    )
    return re.sub(r'<img(?![^>]* src=")[^>]*>', "", cleaned)  # one whose source was not allowed


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and value.startswith("data:image/")
    if name == "href":
        return tag == "a" and not value.lower().startswith("data:")
    return name in ATTRIBUTES


def _code(cell: nbformat.NotebookNode) -> str:
    tags = cell.metadata.get("tags", [])
    shown = " open" if {"parameters", "injected-parameters"} & set(tags) else ""
    label = "parameters of this run" if "injected-parameters" in tags else f"code [{cell.execution_count or ' '}]"
    return f'<details class="code"{shown}><summary>{label}</summary>{_highlighter()(cell.source)}</details>'


@functools.cache
def _highlighter() -> Highlight2HTML:
    return Highlight2HTML(pygments_lexer="ipython3")


def _output(page: _Page, output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        text = f"<pre>{ansi2html(_settled(output.text))}</pre>"
        return text if output.name == "stdout" else f'<details class="log"><summary>messages</summary>{text}</details>'
    if output.output_type == "error":
        return f'<pre class="error">{ansi2html(chr(10).join(output.traceback))}</pre>'
    return f'<div class="output">{next(_faces(page, output.data), "")}</div>'


def _is_result(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a figure or a table, of which one may ask where it comes from."""
    data = output.get("data", {})
    return any(kind in data for kind in PICTURES) or "<table" in data.get("text/html", "")


def _faces(page: _Page, data: Mapping[str, Any]) -> Iterator[str]:
    """The ways to show a result without a script, best first."""
    for kind in PICTURES:
        if kind in data:
            yield _picture(kind, data[kind] if kind.endswith("xml") else base64.b64decode(data[kind]), alt=_alt(data))
    if "%|" in data.get("text/plain", ""):
        yield ""  # a progress bar; its last state is not recorded
    if any(kind in data for kind in LIVE_ONLY):
        yield '<p class="note">Interactive, with no picture of it; open the notebook to use it.</p>'
    text = data.get("text/html", "")
    if text and len(text) <= LARGEST_HTML:
        yield clean(text)
    if "text/markdown" in data:
        yield page.markdown(data["text/markdown"])
    if "text/latex" in data:
        yield page.block_math(data["text/latex"].strip("$ \n"))
    if "text/plain" in data:
        yield f"<pre>{ansi2html(data['text/plain'])}</pre>"


def _alt(data: Mapping[str, Any]) -> str:
    """What a figure says of itself in words; `figure` where it is only the name of an object."""
    said = " ".join(data.get("text/plain", "").split())
    return said[:ALT] if said and not said.startswith("<") else "figure"


def _picture(kind: str, content: str | bytes, *, alt: str, extra: str = "") -> str:
    data = base64.b64encode(content.encode("utf-8") if isinstance(content, str) else content).decode("ascii")
    return f'<img src="data:{kind};base64,{data}" alt="{html.escape(alt)}"{extra}>'


def _settled(text: str) -> str:
    """What a terminal would show at the end: of a line written over and over, the last state."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
