"""From items to the graph; the report; an import that finds nothing; `workbench kg import`. Importer `tables`: ports,
provenance and repairs on a small table; counts and links of the real one."""

import json
from pathlib import Path

import pytest
from damaged_records import BIOTOOLS
from importing import DATA, SHARED, imported, ports

from workbench.hands.bench.full_size import check
from workbench.hands.cli import main
from workbench.hands.cli.graphs import FORMATS
from workbench.kg import check_graph, from_json, load_edam, load_graph
from workbench.kg.importers import (
    IMPORTERS,
    FactItem,
    Item,
    Node,
    Provenance,
    RegistryError,
    Report,
    Toolchain,
    assemble,
    import_registry,
    write_report,
)

A, B = Provenance("a", "1", "MIT"), Provenance("b", "2", "CC-BY-4.0")
TOOL, COMMAND = Node("tool:t", "tool", "T", {"packages": ["x::t"]}), Node("command:c", "command", "c")


def test_facts_join_and_provenance_adds_up() -> None:
    note = Report()
    items: list[Item] = [
        TOOL,
        Node("tool:t", "tool", "tee", {"packages": ["y::t"], "homepage": "https://a.org"}),
        Node("tool:t", "tool", "T", {"homepage": "https://b.org"}),
        COMMAND,
        FactItem("command:c", "command_of", "tool:t", B),
        FactItem("command:c", "command_of", "tool:t", A),
        FactItem("format_2572", "input", "command:c", A, 1),
        FactItem("format_2572", "input", "command:c", A, 0),
        Toolchain("w", "W", (("command:c", "command:c"),), ("command:c",), B),
    ]
    graph = assemble(items, note=note)
    check_graph(graph)
    assert graph.edges["command:c", "tool:t", "command_of"]["provenance"] == [A._asdict(), B._asdict()]
    assert graph.edges["format_2572", "command:c", "input"]["ports"] == [0, 1]
    assert graph.nodes["tool:t"] == {
        "type": "tool", "name": "T", "aliases": ["tee"], "packages": ["x::t", "y::t"],
        "homepage": "https://a.org", "also": {"homepage": ["https://b.org"]},
    }  # fmt: skip
    assert graph.graph["licences"] == ["CC-BY-4.0", "CC-BY-SA-4.0", "MIT"]
    assert graph.graph["toolchains"][0]["links"] == [["command:c", "command:c"]]
    assert {f"format_{n}" for n in (2572, 2920, 1915)} <= set(graph), "is_a up to the root"
    assert graph.edges["format_2572", "format_2920", "format_is_a"]["provenance"][0]["registry"] == "EDAM"
    assert list(graph) == sorted(graph) and not note.lines and graph.graph["edam"] == load_edam().version


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (FactItem("command:c", "command_of", "tool:none", A), "tail of command_of is no node"),
        (FactItem("tool:t", "command_of", "command:c", A), "head of command_of must be a command, not a tool"),
        (FactItem("command:c", "likes", "tool:t", A), "unknown relation"),
        (FactItem("format_25722", "input", "command:c", A), "head of input is no node"),
        (Node("tool:u", "spoon", "u"), "node without a name or of an unknown type (spoon)"),
        (Node("tool:u", "tool", " "), "node without a name or of an unknown type (tool)"),
        (Node("tool:t", "command", "t"), "node is a tool and cannot be a command as well"),
    ],
)
def test_what_breaks_the_schema_is_left_out_and_told(item: Item, rule: str) -> None:
    note = Report()
    graph = assemble([TOOL, COMMAND, FactItem("command:c", "command_of", "tool:t", A), item], note=note)
    check_graph(graph)
    assert graph.number_of_edges() == 1 and [line.rule for line in note.lines] == [rule]


def test_circles_of_is_a_are_opened() -> None:
    names = [f"format:{letter}" for letter in "abcd"]
    circle = zip(names, [*names[1:], names[0]], strict=True)
    items: list[Item] = [Node(name, "format", name) for name in names]
    items += [FactItem(head, "format_is_a", tail, A) for head, tail in circle]
    items += [FactItem("format:a", "format_is_a", "format:a", A), FactItem("format:a", "format_is_a", "format:d", A)]
    note = Report()
    graph = assemble(items, note=note)
    check_graph(graph)
    assert {line.rule for line in note.lines} == {"is_a that closes a cycle"} and graph.number_of_edges() >= 3


def test_names_that_a_prompt_could_not_tell_apart_are_parted() -> None:
    items = [Node("command:x", "command", "BAM"), Node("tool:a", "tool", "Same"), Node("tool:same", "tool", "same")]
    graph = assemble([*items, FactItem("format_2572", "input", "command:x", A)])
    assert graph.nodes["format_2572"]["name"] == "BAM" and graph.nodes["command:x"]["name"] == "BAM (x)"
    assert graph.nodes["tool:same"]["name"] == "same" and graph.nodes["tool:a"]["name"] == "Same (a)"
    assert graph.nodes["tool:a"]["aliases"] == ["Same"]


def test_the_report_as_lines_and_as_a_table(tmp_path: Path) -> None:
    note = Report()
    note.at("f\n", "line 1").at("x", 2).dropped("bad", "a\tb\x1b" + "z" * 500)
    note.at("g").kept("odd", {"k": 1})
    rows = [json.loads(line) for line in write_report(note, tmp_path / "r.jsonl").read_text().splitlines()]
    assert rows[0]["place"] == "line 1.x[2]" and rows[0]["file"] == "f\\n" and len(rows[0]["value"]) <= 80
    assert rows[1]["value"] == "'<dict of 1>'" and rows[2]["counts"] == {"bad (dropped)": 1, "odd (kept)": 1}
    table = write_report(note, tmp_path / "r.tsv").read_text().splitlines()
    assert len(table) == 3 and all(line.count("\t") == 4 for line in table) and "\x1b" not in table[1]


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_nothing_to_import_is_one_error_and_writes_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "note.md").write_text("nothing here")
    for path in (tmp_path / "missing", tmp_path / "empty", tmp_path / "bad\0name"):
        with pytest.raises(RegistryError, match=r"no such file or folder|holds nothing that reads as|cannot be read"):
            import_registry(IMPORTERS[name], path, out=tmp_path / "g.json", report=tmp_path / "r.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    path = tmp_path / "e.json"
    path.write_text(json.dumps([BIOTOOLS, 5]))
    return path


def test_the_formats_are_those_of_the_importers() -> None:
    assert set(FORMATS) == set(IMPORTERS)


def test_a_graph_and_a_report_are_written(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, report = entry.parent / "g.json", entry.parent / "r.tsv"
    assert main(["kg", "import", "biotools", str(entry), "--out", str(out), "--report", str(report)]) == 0
    assert "tool:samtools" in from_json(out)
    finding = report.read_text().splitlines()[1].split("\t")
    assert finding == ["e.json", "[1]", "entry is not an object", "'5'", "dropped"]
    said = capsys.readouterr().out
    assert "2 records: 1 tools, 1 commands, 1 sources" in said and "entry is not an object (dropped)" in said
    again = entry.parent / "h.json"
    assert main(["kg", "import", "biotools", str(entry), "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "word"}, "no importer is called 'word'; there are nfcore"),
        ({"path": "missing.json"}, "no such file or folder"),
        ({"--out": "none/g.json"}, "does not exist; create it first"),
        ({"--out": "."}, "this is a folder"),
        ({"--mapping": "none.json"}, "no such file; give a mapping"),
        ({"--edam": "none.owl"}, "no such file or folder"),
        ({"format": "workflow"}, "nothing in it reads as workflow"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(
    entry: Path, change: dict[str, str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(entry.parent)
    given = {"format": "biotools", "path": "e.json", "--out": "g.json", "--report": "r.jsonl", **change}
    options = [part for key in given if key.startswith("--") for part in (key, given[key])]
    assert main(["kg", "import", given["format"], given["path"], *options]) != 0
    assert told in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in entry.parent.iterdir()) == ["e.json"]


REGISTRY = DATA / "registry"  # with all that is wrong in registries


def test_ports_provenance_and_identity() -> None:
    graph, _ = imported("tables", REGISTRY)
    sort = "command:nfcore:samtools/sort"
    assert graph.edges["format_2572", sort, "input"] == {
        "relation": "input",
        "provenance": [{"registry": "nf-core", "record": "nfcore:samtools/sort", "licence": "MIT"}],
        "ports": [0],
    }
    assert graph.edges["format:fai", sort, "input"]["ports"] == [1]
    assert graph.edges["format_1929", sort, "input"]["ports"] == [2]
    assert graph.has_edge("format:fai", "format_3475", "format_is_a")
    assert ports(graph, sort, "output").keys() == {"format_2572", "format_3462", "format:csi"}
    tool = graph.nodes["tool:samtools"]
    assert tool["name"] == "SAMtools" and tool["aliases"] == ["samtools"] and tool["packages"] == ["bioconda::samtools"]
    assert tool["homepage"] == "https://www.htslib.org" and tool["doi"] == ["10.1093/bioinformatics/btp352"]
    assert graph.has_edge("tool:samtools", "license:GPL-3.0", "licensed_under")
    assert graph.has_edge("tool:samtools", "topic_3168", "has_topic"), "found by its label"
    assert graph.has_edge("source:sra", "format_1930", "download_from")
    stated = "CC-BY-4.0 CC-BY-SA-4.0 LicenseRef-MIT-and-others LicenseRef-unknown MIT"
    assert graph.graph["licences"] == stated.split()


def test_every_defect_is_a_line_of_the_report() -> None:
    _, note = imported("tables", REGISTRY)
    told = {(line.file, line.place, line.rule, line.action) for line in note.lines}
    for line in (
        ("registry.jsonl", "line 3", "record is not an object", "dropped"),
        ("registry.jsonl", "line 4", "not JSON", "dropped"),
        ("registry.jsonl", "line 2", "id that an earlier record has, joined with it", "kept"),
        ("registry.jsonl", "line 1.topics[1]", "no such EDAM id; found by its label", "repaired"),
        ("components.jsonl", "line 1.inputs[0]", "compression given as a format or data type", "dropped"),
        ("components.jsonl", "line 1.inputs[2].data[0]", "format given where data is asked for", "repaired"),
        ("components.jsonl", "line 1.outputs[0].formats[0]", "no such EDAM id", "dropped"),
        ("components.jsonl", "line 1.operations[1]", "branch root, which says nothing", "dropped"),
        ("components.jsonl", "line 2.outputs[0]", "port is not an object", "dropped"),
        ("components.jsonl", "line 3", "command without an id or tool", "dropped"),
    ):
        assert line in told
    assert note.records == 10 and sum(note.actions.values()) == len(note.lines) == sum(note.counts.values())


@pytest.mark.skipif(not (SHARED / "samples").is_dir(), reason="no registry tables or workflows here")
def test_of_the_real_tables_links_of_workflows_are_accepted_more_often_than_others() -> None:
    graph, note = imported("tables", SHARED / "data")
    types = [kind for _, kind in graph.nodes(data="type")]
    assert types.count("command") == 7755 and types.count("tool") >= 4239 and types.count("source") == 487
    assert all(attributes["provenance"] for *_, attributes in graph.edges(data=True))
    assert all(graph.has_node(node) for node in ("format_2572", "data_0863"))
    told = ("no such EDAM id (dropped)", "obsolete EDAM id, replaced as EDAM says (repaired)")
    assert all(note.counts[one] for one in told)
    chains = imported("workflow", SHARED / "samples" / "galaxy_workflows")[0].graph["toolchains"]
    rates = check(graph, chains, seed=0, random_pairs=1500).rates
    assert rates["command", "real"].share >= 0.93 and rates["command", "random"].share <= 0.2
    assert rates["command", "reversed"].high < rates["command", "real"].low
    assert rates["tool", "random"].low > rates["command", "random"].high, "tools discriminate less"
    alone = check(load_graph().graph, chains, seed=0, random_pairs=10)
    assert len(alone.links) >= 5 and set(alone.unknown)
