"""Importers of tool registries: nf-core, bio.tools, Galaxy tools and workflows, on small files and on real samples.

Of Galaxy's tools macros, tokens and imports are read, and harmful ones refused.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from damaged_records import BIOTOOLS, GALAXY, NFCORE, RECORDS, WORKFLOW
from importing import DATA, SHARED, imported, ports, rules, write
from refusals import refused

from workbench.kg.importers import IMPORTERS, Report, assemble
from workbench.kg.importers.reading import streamed
from workbench.kg.links import Links
from workbench.kg.plan import Planner

SAMPLES = SHARED / "samples"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no registry samples here")


def test_a_module_is_a_command_with_ports(tmp_path: Path) -> None:
    write(tmp_path / "samtools/sort/meta.yml", NFCORE)
    write(
        tmp_path / "samtools/sort/environment.yml", {"dependencies": ["bioconda::htslib=1", "bioconda::samtools=1.2"]}
    )
    graph, _ = imported("nfcore", tmp_path)
    assert ports(graph, "command:samtools sort", "input") == {"format_2572": [0], "format:fai": [1]}
    assert ports(graph, "command:samtools sort", "output") == {"format_2572": [0]}
    assert graph.nodes["command:samtools sort"]["optional_ports"] == [1]
    assert graph.nodes["tool:samtools"]["packages"] == ["bioconda::samtools"]
    assert graph.nodes["tool:samtools"]["biotools_id"] == "samtools"
    edge = graph.edges["command:samtools sort", "tool:samtools", "command_of"]
    assert edge["provenance"] == [{"registry": "nf-core", "record": "samtools/sort", "licence": "MIT"}]


@pytest.mark.parametrize(
    ("meta", "rule"),
    [
        ("a: [1, 2", "not YAML"),
        ("- a\n- b\n", "no module: not a mapping"),
        ("x: &x [1]\ny: *x\n", "module without a name"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 12)), "YAML of more than"),
        ("a: &a [*a]\n", "not YAML"),
        ("[" * 500, "YAML nested deeper than"),
        ("!!python/object/apply:os.system ['true']\n", "no module: not a mapping"),
        ("name: sw\ncomponents: 5\n", "subworkflow without components"),
    ],
)
def test_a_bad_module_is_a_line_and_the_next_is_read(tmp_path: Path, meta: str, rule: str) -> None:
    write(tmp_path / "a/bad/meta.yml", meta)
    write(tmp_path / "samtools/sort/meta.yml", NFCORE)
    write(tmp_path / "lost/main.nf", "process LOST {}")
    graph, note = imported("nfcore", tmp_path)
    assert "command:samtools sort" in graph
    assert any(line.rule.startswith(rule) and line.file == "a/bad/meta.yml" for line in note.lines)
    assert any(line.rule == "module without a meta.yml" and line.file == "lost/meta.yml" for line in note.lines)


def test_a_subworkflow_is_a_toolchain(tmp_path: Path) -> None:
    write(tmp_path / "s/meta.yml", {"name": "s", "components": ["samtools/sort", {"fastqc": {"git": "x"}}]})
    graph, note = imported("nfcore", tmp_path)
    assert graph.graph["toolchains"][0]["commands"] == ["command:samtools sort", "command:fastqc"]
    assert rules(note) == {"subworkflow: a toolchain whose links are not stated"}


def test_an_entry_of_biotools(tmp_path: Path) -> None:
    graph, _ = imported("biotools", write(tmp_path / "e.json", BIOTOOLS))
    assert graph.nodes["command:samtools"]["name"] == "samtools sort"
    assert ports(graph, "command:samtools", "input") == {"format_2572": [0]}
    assert ports(graph, "command:samtools", "input_data") == {"data_0863": [0]}
    assert graph.nodes["tool:samtools"]["packages"] == ["bioconda::samtools"]
    assert graph.has_edge("tool:samtools", "topic_0102", "has_topic")
    assert graph.has_edge("source:samtools", "format_2572", "download_from"), "a database portal delivers its outputs"


ENTRIES = [{**BIOTOOLS, "biotoolsID": f"t{n}"} for n in range(4)]
FORMS = {
    "list": [ENTRIES],
    "page": [{"count": 4, "next": None, "list": ENTRIES}],
    "pages": ["\n".join(json.dumps({"list": some}) for some in (ENTRIES[:2], ENTRIES[2:]))],
    "lines": ["\n".join(map(json.dumps, ENTRIES))],
    "folder": ENTRIES,
}


@pytest.mark.parametrize("form", FORMS)
def test_entries_come_in_many_files(tmp_path: Path, form: str) -> None:
    for number, content in enumerate(FORMS[form]):
        write(tmp_path / f"{number}.biotools.json", content)
    graph, note = imported("biotools", tmp_path)
    assert {f"tool:t{n}" for n in range(4)} <= set(graph) and note.records == 4


def test_a_large_list_is_read_one_record_at_a_time(tmp_path: Path) -> None:
    rows = ",".join(json.dumps({"n": n, "x": ["y"] * 5}) for n in range(20_000))
    path = write(tmp_path / "large.json", f'{{"list": [{rows}]}} {{')  # and then it breaks
    with path.open("rb") as stream:
        records = streamed(stream, "list")
        assert next(records) == ("list[0]", {"n": 0, "x": ["y"] * 5})
        assert stream.tell() < 200_000 < path.stat().st_size


@pytest.mark.parametrize("number", ["1" * 400, '"\\ud800"', "1e999"])
def test_what_the_stream_cannot_hold_loses_no_record(tmp_path: Path, number: str) -> None:
    first = json.dumps({**BIOTOOLS, "biotoolsID": "first"})
    odd = json.dumps({**BIOTOOLS, "biotoolsID": "odd", "homepage": "?"}).replace('"?"', number)
    last = json.dumps({**BIOTOOLS, "biotoolsID": "last"})
    graph, note = imported("biotools", write(tmp_path / "p.json", f"[{first}, {odd}, {last}]"))
    assert {"tool:first", "tool:last"} <= set(graph) and note.records == 3


def test_a_file_that_stops_being_json_keeps_what_came_before(tmp_path: Path) -> None:
    graph, note = imported("biotools", write(tmp_path / "p.json", f"[{json.dumps(BIOTOOLS)}, {{broken"))
    assert "tool:samtools" in graph and "not JSON after 1 records" in rules(note)


def test_a_workflow_is_a_toolchain_through_its_subworkflows(tmp_path: Path) -> None:
    graph, _ = imported("workflow", write(tmp_path / "w.ga", WORKFLOW))
    (chain,) = graph.graph["toolchains"]
    assert chain["links"] == [["command:bwa_mem", "command:samtools_sort"], ["command:samtools_sort", "command:stats"]]
    assert chain["licence"] == "MIT" and graph.has_edge("command:bwa_mem", "tool:bwa", "command_of")
    assert ports(graph, "command:stats", "input") == {"format_2572": [0]}


def test_a_workflow_that_refers_to_itself_or_to_nothing_ends(tmp_path: Path) -> None:
    step = {"type": "tool", "tool_id": "a", "outputs": [{"name": "o", "type": "bam"}]}
    inner: dict[str, Any] = {"steps": {"0": {"id": 0, "type": "data_input", "label": "x"}}}
    for _ in range(16):
        inner = {"steps": {"0": {"id": 0, "type": "subworkflow", "subworkflow": inner}}}
    steps = {
        "0": {**step, "id": 0, "input_connections": {"i": {"id": 1, "output_name": "o"}, "j": {"id": 99}}},
        "1": {**inner["steps"]["0"], "id": 1, "input_connections": {"x": {"id": 1, "output_name": "o"}}},
        "2": "nothing",
    }
    graph, note = imported("workflow", write(tmp_path / "w.ga", {"name": "w", "steps": steps}))
    assert "command:a" in graph
    assert {"connection to a step that is not there", "step is not an object"} <= rules(note)
    assert "subworkflow that is missing, empty or nested too deeply" in rules(note)


@real
def test_every_real_module_is_a_command_or_a_line() -> None:
    for folder in ("nfcore_modules", "nfcore_subworkflows"):
        graph, note = imported("nfcore", SAMPLES / folder)
        records = {
            a["provenance"][0]["record"] for _, _, k, a in graph.edges(keys=True, data=True) if k == "command_of"
        }
        records |= {chain["record"] for chain in graph.graph.get("toolchains", [])}
        dropped = {line.file for line in note.lines if line.action == "dropped" and not line.place}
        assert len(records) + len(dropped) == note.records == len(list((SAMPLES / folder).rglob("meta.yml")))
    graph, _ = imported("nfcore", SAMPLES / "nfcore_modules")
    assert {"format_2572", "format_2573", "format_3462"} <= set(ports(graph, "command:samtools sort", "input"))


@real
def test_every_real_entry_is_a_tool_with_commands_or_a_line() -> None:
    graph, note = imported("biotools", SAMPLES / "biotools_json")
    tools = [node for node, kind in graph.nodes(data="type") if kind == "tool"]
    commanded = {t for _, t, k in graph.edges(keys=True) if k == "command_of"}
    bare = [line for line in note.lines if line.rule == "tool without functions, so without commands"]
    assert note.records == len(tools) == len(commanded) + len(bare) == len(list((SAMPLES / "biotools_json").glob("*")))


@real
def test_real_workflows_are_toolchains() -> None:
    graph, note = imported("workflow", SAMPLES / "galaxy_workflows")
    chains = graph.graph["toolchains"]
    assert len(chains) == note.records == 4
    by_name = {chain["record"]: chain for chain in chains}
    assert ["command:bowtie2", "command:samtool_filter2"] in by_name["chipseq-pe.ga"]["links"]
    assert all(command in graph for chain in chains for command in chain["commands"])


def test_channels_beside_the_first_bring_companions(tmp_path: Path) -> None:
    write(tmp_path / "caller/call/meta.yml", (RECORDS / "channels.yml").read_bytes())
    graph, _ = imported("nfcore", tmp_path)
    needs = [(min(port.formats), port.need) for port in Links(graph).takes["command:caller call"]]
    assert [need for _, need in needs] == ["main", "companion", "companion", "optional"]
    assert needs[0][0] == "format_2572" and needs[2][0] == "format_3016"


@real
def test_a_call_needs_variants_and_no_table_of_samples() -> None:
    note = Report()
    parts = [
        item for name in ("modules", "subworkflows") for item in IMPORTERS["nfcore"](SAMPLES / f"nfcore_{name}", note)
    ]
    planner = Planner(assemble(parts))
    assert not planner.plans("format_1930", "format_3016").plans
    assert planner.lacking("format_3016") == [("command:bcftools call", frozenset({"format_3016"}))]
    [plan] = planner.plans("format_1930", "format_2306").plans[:1]
    assert plan.commands == ("command:hisat2 align", "command:stringtie stringtie"), (
        "a published subworkflow uses hisat2"
    )


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
    return Path(shutil.copytree(DATA / "galaxy", tmp_path / "in"))


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
    shutil.copy(wrapper / "shared.xml", wrapper.parent / "outside.xml")
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
    refused(r"pip install --editable .*\[galaxy\]", imported, "galaxy", tmp_path)
