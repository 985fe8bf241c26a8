"""The importer of Galaxy tool wrappers: macros, tokens and imports are read, and harmful ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from damaged_records import GALAXY
from importing import imported, ports, write

MACROS = """<macros><import>../shared.xml</import>
<xml name="in" token_fmt="bam"><param name="input" type="data" format="@FMT@"/></xml></macros>"""

SHARED = """<macros><token name="@V@">1.2</token>
<xml name="xref"><xrefs><xref type="bio.tools">samtools</xref></xrefs></xml></macros>"""

SORT = """<tool id="samtools_sort" name="Samtools sort" license="MIT"><macros><import>macros.xml</import></macros>
<expand macro="xref"/><requirements><requirement type="package" version="@V@">samtools</requirement>
<requirement type="package">htslib</requirement></requirements>
<edam_operations><edam_operation>operation_3802</edam_operation></edam_operations>
<inputs><expand macro="in" fmt="sam,cram"/>
<repeat name="r"><param name="f" type="data" format="fasta"/></repeat></inputs>
<outputs><data name="a" format="bam"><change_format><when input="x" value="y" format="cram"/></change_format></data>
<data name="b" format_source="input"/></outputs></tool>"""


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
    write(tmp_path / "in/shared.xml", SHARED)
    write(tmp_path / "in/sam/macros.xml", MACROS)
    write(tmp_path / "in/sam/sort.xml", SORT)
    return tmp_path / "in"


def test_a_galaxy_tool_with_macros_tokens_and_imports(wrapper: Path) -> None:
    graph, note = imported("galaxy", wrapper)
    command = "command:samtools_sort"
    assert ports(graph, command, "input") == {"format_2573": [0], "format_3462": [0], "format_1929": [1]}
    assert ports(graph, command, "output") == {"format_2572": [0], "format_3462": [0, 1], "format_2573": [1]}
    assert graph.nodes[command]["optional_ports"] == [1]
    assert graph.nodes["tool:samtools"]["packages"] == ["bioconda::samtools"]
    assert graph.has_edge(command, "operation_3802", "performs") and note.records == 1


BOMB = "".join(f'<xml name="m{n}">' + f'<expand macro="m{n - 1}"/>' * 10 + "</xml>" for n in range(1, 12))

BOMB = f'<tool id="x"><macros><xml name="m0">{"y" * 99}</xml>{BOMB}</macros><expand macro="m11"/></tool>'

TOKENS = "".join(f'<token name="@T{n}@">' + f"@T{n - 1}@" * 10 + "</token>" for n in range(1, 12))

SELF = '<tool id="x"><macros><xml name="a"><expand macro="a"/></xml></macros><expand macro="a"/></tool>'


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ('<!DOCTYPE x [<!ENTITY e "eee">]><tool id="x"><inputs/></tool>', "not XML that can be read safely"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><tool id="x"/>', "not XML that can be read safely"),
        ('<tool id="x"><macros><import>../../outside.xml</import></macros></tool>', "imports a file outside"),
        ('<tool id="x"><macros><import>/etc/passwd</import></macros></tool>', "imports a file outside"),
        ('<tool id="x"><macros><import>none.xml</import></macros></tool>', "imports a file that is missing"),
        ('<tool id="x"><macros><import>bad.xml</import></macros></tool>', "imports in a circle"),
        (BOMB, "expand to more"),
        (f'<tool id="@T11@"><macros><token name="@T0@">yyyy</token>{TOKENS}</macros></tool>', "expand to more"),
        (SELF, "expands itself"),
        ('<tool id="x"><macros><token name="@A@">@A@</token></macros>@A@</tool>', "contains itself"),
        ('<tool id="x"><macros><xml name="a" tokens="p"/></macros><expand macro="a"/></tool>', "reader refuses it"),
        ("<a>" * 5000, "not XML that can be read safely"),
        ("<tool><inputs/></tool>", ""),
        ("<toolbox/>", ""),
    ],
)  # fmt: skip
def test_a_harmful_wrapper_is_a_line_and_the_next_is_read(wrapper: Path, bad: str, told: str) -> None:
    write(wrapper.parent / "outside.xml", SHARED)
    write(wrapper / "bad.xml", bad)
    graph, note = imported("galaxy", wrapper)
    assert "command:samtools_sort" in graph and "command:x" not in graph
    (line,) = [line for line in note.lines if line.file == "bad.xml"]
    assert line.action == "dropped" and told in f"{line.rule} {line.value}"


def test_a_data_source_is_a_source(tmp_path: Path) -> None:
    pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
    text = GALAXY.decode().replace('version="1"', 'tool_type="data_source"', 1)
    graph, _ = imported("galaxy", write(tmp_path / "s.xml", text))
    assert graph.has_edge("source:samtools_sort", "format_2572", "download_from")


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "galaxy.tool_util.loader", None)
    write(tmp_path / "t.xml", GALAXY.decode())
    with pytest.raises(ValueError, match=r"pip install --editable .*\[galaxy\]"):
        imported("galaxy", tmp_path)
