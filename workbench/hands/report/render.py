"""One executed notebook as HTML that needs nothing from elsewhere and runs nothing: what it answers, then its parts.

Every output shows its static face: SVG or PNG before HTML, so a widget or a plotly figure with a picture as its twin
is seen. All HTML that came out of a cell passes an allow-list; formulas become MathML. What cells with the tag `answer`
print and draw is the notebook's answer, and stands before the parts, which begin at headings of first and second level.
"""

import base64
import functools
import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from latex2mathml.converter import convert_to_element
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif")  # sharpest first
ALT = 1000  # characters of a picture's alternative text
LARGEST_HTML = 1_000_000  # characters; beyond that it is a bundled script, not a table
LIVE_ONLY = ("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "application/javascript")
WRAPPED = 100  # characters of a line of sentences that a notebook prints
MARK = "\ue000"  # of private use: where a formula stands while the rest is cleaned
MATHML = frozenset(
    "xmlns display stretchy form fence mathvariant minsize maxsize width height depth linethickness columnalign accent "
    "accentunder lspace rspace rowspacing columnspacing displaystyle scriptlevel largeop movablelimits".split()
)
TAGS = frozenset(
    "a abbr b blockquote br caption code col colgroup dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s "
    "small span strong sub summary details sup table tbody td tfoot th thead tr u ul".split()
)
ATTRIBUTES = frozenset("alt class colspan height open rowspan scope style title width".split())
TAG = "answer"  # of the cells whose sentences and pictures are the notebook's answer


@dataclass
class Part:
    """What stands below one heading: its text, HTML, and how many pictures and tables there are."""

    title: str
    body: list[str] = field(default_factory=list)
    pictures: int = 0
    tables: int = 0


@dataclass
class Rendered:
    """A notebook: its title, the HTML of its question, the sentences and pictures of its answer, and its parts."""

    title: str
    question: str
    said: list[str]
    drawn: list[str]
    parts: list[Part]


Note = Callable[[int, str], str]
"""(number of a code cell from 1, text of the heading above it) -> HTML to stand below a figure of that cell."""


def render_notebook(notebook: nbformat.NotebookNode, *, note: Note = lambda cell, section: "") -> Rendered:
    """Render an executed notebook. note: gives what stands below figures and tables."""
    found = Rendered("", "", [], [], [Part("")])
    number = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            _add_text(found, cell)
        elif cell.cell_type == "code" and cell.source.strip():
            number += 1
            _add_code(found, cell, note(number, found.parts[-1].title))
    found.parts = [part for part in found.parts if part.body]
    return found


def _add_text(found: Rendered, cell: nbformat.NotebookNode) -> None:
    """A markdown cell; where it begins with a heading of first or second level, it begins a part."""
    heading = re.match(r"(##?) +(.+)\n*", cell.source)
    text = cell.source[heading.end() :] if heading else cell.source
    page = _Page(cell.get("attachments"))
    if heading:
        title = html.unescape(re.sub("<[^>]*>", "", page.markdown(heading[2]))).strip()
        found.title = found.title or title
        found.parts.append(Part(title if len(heading[1]) > 1 else "About this notebook"))
    body = page.markdown(text)
    found.question = found.question or next(iter(re.findall(r"(?s)<p><strong>Question\.</strong>.*?</p>", body)), "")
    found.parts[-1].body.append(f'<div class="prose">{body}</div>' if body.strip() else "")


def _add_code(found: Rendered, cell: nbformat.NotebookNode, note: str) -> None:
    """A code cell, folded, and what came out of it; of a cell of the answer, sentences and pictures go to the front."""
    part, answer = found.parts[-1], TAG in cell.metadata.get("tags", [])
    part.body.append(_code(cell))
    for output in cell.outputs:
        shown, data = _output(output), output.get("data", {})
        drawn, table = any(kind in data for kind in PICTURES), "<table" in shown
        part.pictures, part.tables = part.pictures + drawn, part.tables + table
        if answer and (drawn or output.get("name") == "stdout"):
            if drawn:
                found.drawn.append(f"{shown}{note}")
            else:
                found.said += sentences(output.text)
            shown = '<p class="note">Shown in the answer above.</p>'
        part.body.append(f"{shown}{note}" if (drawn or table) and not answer else shown)


def sentences(printed: str) -> list[str]:
    """Paragraphs of printed text: lines that were wrapped because the next word did not fit are joined again."""
    joined: list[str] = []
    last = ""
    for line in filter(str.strip, _settled(printed).split("\n")):
        wrapped = last and len(last) + 1 + len(line.split(" ")[0]) > WRAPPED and not line.startswith(" ")
        joined[len(joined) - bool(wrapped) :] = [f"{joined[-1]} {line}" if wrapped else line]
        last = line
    return joined


class _Page(IPythonRenderer):
    """Markdown of one cell: safe HTML, formulas drawn."""

    def __init__(self, attachments: Mapping[str, Any] | None = None) -> None:
        super().__init__(escape=False)
        self.attachments = dict(attachments or {})
        self.formulas: list[str] = []

    def markdown(self, source: str) -> str:
        """Safe HTML of a markdown text. Formulas are put in when the rest was cleaned."""
        safe = clean(MarkdownWithMath(renderer=self).render(source.replace(MARK, "")))
        return re.sub(f"{MARK}(\\d+){MARK}", lambda found: self.formulas[int(found[1])], safe)

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        return f"<h{level + 1}>{text}</h{level + 1}>\n"  # the page's own title is the only h1

    def inline_math(self, body: str) -> str:
        return self._kept(formula(body))

    def block_math(self, body: str) -> str:
        lines = [line for line in body.replace("&", "").split(r"\\") if line.strip()]
        return "".join(f'<div class="formula">{self._kept(formula(line, "block"))}</div>' for line in lines)

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(body)

    def _kept(self, drawn: str) -> str:
        self.formulas.append(drawn)
        return f"{MARK}{len(self.formulas) - 1}{MARK}"


@functools.cache
def formula(latex: str, display: str = "inline") -> str:
    """A formula as MathML with its source as alternative text; `<code>` where the converter does not know it."""
    source = " ".join(latex.split())
    unknown = f'<code class="formula">{html.escape(source)}</code>'
    try:
        tree = convert_to_element(source, display=display)
    except Exception:  # of many kinds, and whichever it is, the source says the same
        return unknown
    for node in tree.iter():
        node.text = html.unescape(node.text or "")
        node.attrib = {name: value for name, value in node.attrib.items() if name in MATHML}
        if re.search(r"\\[A-Za-z]", node.text):
            return unknown
    tree.set("alttext", source)
    return ElementTree.tostring(tree, encoding="unicode")


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
    given = "injected-parameters" in cell.metadata.get("tags", [])
    label = "parameters of this run" if given else f"code [{cell.execution_count or ' '}]"
    return f'<details class="code"><summary>{label}</summary>{_highlighter()(cell.source)}</details>'


@functools.cache
def _highlighter() -> Highlight2HTML:
    return Highlight2HTML(pygments_lexer="ipython3")


def _output(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        text = f"<pre>{ansi2html(_settled(output.text))}</pre>"
        return text if output.name == "stdout" else f'<details class="log"><summary>messages</summary>{text}</details>'
    if output.output_type == "error":
        return f'<pre class="error">{ansi2html(chr(10).join(output.traceback))}</pre>'
    return f'<div class="output">{next(_faces(output.data), "")}</div>'


def _faces(data: Mapping[str, Any]) -> Iterator[str]:
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
        yield _Page().markdown(data["text/markdown"])
    if "text/latex" in data:
        yield formula(data["text/latex"].strip("$ \n"), "block")
    if "text/plain" in data:
        yield f"<pre>{ansi2html(data['text/plain'])}</pre>"


def _alt(data: Mapping[str, Any]) -> str:
    """What a figure says of itself in words; `figure` where it is only the name of an object."""
    said = " ".join(data.get("text/plain", "").split())
    return said[:ALT] if said and not said.startswith("<") else "figure"


def _picture(kind: str, content: str | bytes, *, alt: str) -> str:
    data = base64.b64encode(content.encode("utf-8") if isinstance(content, str) else content).decode("ascii")
    return f'<img src="data:{kind};base64,{data}" alt="{html.escape(alt)}">'


def _settled(text: str) -> str:
    """What a terminal would show at the end: of a line written over and over, the last state."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
