"""Other domains: the schema of one's own, its triples, and the shipped second example through the notebooks. Agreement
with registries: the rules of comparison on a made registry, and the figures on the real one."""

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from importing import DATA, SHARED
from kg_tables import write_table
from notebook_runs import execute
from refusals import refused
from tiny import save_tiny

from workbench import kg
from workbench.artifacts import runs
from workbench.cases import load_cases
from workbench.figures import kg as pictures
from workbench.hands.cli import main
from workbench.kg import agreement, build_graph, disagreements, read_table
from workbench.kg.links import fits
from workbench.kg.merge import merge
from workbench.kg.plan import Planner
from workbench.kg.triples import read_schema, read_triples

SCHEMA: dict[str, Any] = json.loads((DATA / "kitchen" / "schema.json").read_bytes())
HEADER, *ROWS = (tuple(line.split("\t")) for line in (DATA / "kitchen" / "triples.tsv").read_text().splitlines())


def folder(path: Path, rows: list[tuple[str, ...]] = ROWS, **changes: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "schema.json").write_text(json.dumps({**SCHEMA, **changes}), "utf-8")
    (path / "triples.tsv").write_text("".join("\t".join(line) + "\n" for line in (HEADER, *rows)), "utf-8")
    return path


def test_words_of_a_domain_stand_for_the_types_of_the_data_flow(tmp_path: Path) -> None:
    graph = read_triples(folder(tmp_path))
    assert graph.number_of_edges() == len(ROWS)
    assert graph.nodes["command:knead"] == {"type": "command", "name": "knead", "kind": "step"}
    assert graph.nodes["season:summer"]["type"] == "season" and graph.has_edge(
        "format:flour", "season:summer", "grows_in"
    )
    assert graph.has_edge("season:summer", "format:egg", "likes"), "the other row tells that summer is a season"
    assert graph.edges["format:flour", "command:knead", "input"]["ports"] == [1]
    planner = Planner(graph)
    assert planner.plans("source:market", "format:dough").plans[0].needs == ((),), "the market has both"
    [plan] = planner.plans("format:egg", "format:dough").plans
    assert plan.commands == ("command:knead",) and plan.needs == ((frozenset({"format:flour"}),),)
    assert kg.facts_table(kg.from_json(kg.to_json(graph, tmp_path / "g.json"))) == kg.facts_table(graph)
    assert pictures.schema(graph).png() and pictures.degree_statistics(graph).png()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("market", "buys", "egg", "")], r"row 2: relation must be one of sells, .*'buys'"),
        ([("market", "sells", "", "")], "row 2: a row has a head"),
        ([("market", "sells", "egg", "1")], "row 2: a port is a number and belongs to an input"),
        ([("egg", "goes into", "knead", "one")], "row 2: a port is a number"),
        ([("market", "sells", "egg", "")] * 2, "row 3: the row stands twice"),
        ([("spring", "likes", "egg", "")], "'spring' may be a shop or a season; add a row"),
        ([("market", "sells", "egg", ""), ("Egg", "goes into", "knead", "")], "cannot be told apart; rename one"),
        ([("market", "sells", "knead", ""), ("knead", "gives", "egg", "")], "cannot be told apart; rename one"),
        ([("market", "sells", "???", "")], "no letter or digit"),
        ([("market", "sells", "x\x00", "")], "printable characters"),
    ],
)
def test_broken_triples_are_named(tmp_path: Path, rows: list[tuple[str, ...]], message: str) -> None:
    refused(message, read_triples, folder(tmp_path, rows), error=kg.GraphError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entities": {**SCHEMA["entities"], "food": "meal"}}, "entity 'food' stands for 'meal'; there must be one of"),
        ({"relations": {"gives": {"head": ["cook"], "tail": ["food"]}}}, "relation 'gives' joins 'cook'"),
        ({"relations": {"x": {"head": ["food"], "tail": ["step"], "as": "output"}}}, "but joins 'food'"),
        ({"relations": {"x": {"head": ["food"], "tail": ["step"], "as": "eats"}}}, "'x' stands for 'eats'"),
        ({"relations": {}}, "the data flow; there must be a command"),
        ({"entities": []}, "not a schema"),
        ({"showcase": ["nothing"]}, "no triple names 'nothing'"),
    ],
)
def test_broken_schemas_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    refused(message, read_triples, folder(tmp_path, **changes), error=kg.GraphError)


def test_a_graph_may_hold_only_what_its_schema_names(tmp_path: Path) -> None:
    graph = read_triples(folder(tmp_path))
    del graph.graph["schema"]
    refused("type must be one of", kg.check_graph, graph, error=kg.GraphError)
    graph.graph["schema"] = ["season"]
    refused("schema must hold types and relations", kg.check_graph, graph, error=kg.GraphError)


def test_the_second_example_is_another_domain_and_whole() -> None:
    given = kg.load_graph("mediakg")
    assert given.kind == "triples" and "edam" not in given.graph.graph
    assert 30 <= kg.summary(given.graph)["commands"] <= 70 and kg.summary(given.graph)["entity_types"] == 9
    [chain] = kg.showcase(given.graph)
    assert chain[-1] == "data:transcript" and len(kg.commands_of(chain)) == 3
    planner = Planner(given.graph)
    [plan] = planner.plans("source:internet-archive", "data:transcript").plans
    assert {"command:whisper-cli", "command:sox rate 16k"} <= set(plan.commands)
    assert [port for ports in plan.needs for port in ports] == [frozenset({"format:ggml-model"})]
    magick = next(port for port in planner.links.takes["command:magick"])
    assert fits(planner.links.flow(["format:png"], []), magick), "it takes any raster image"
    assert read_schema(given.path / "schema.json").licence == "MIT"


@pytest.mark.slow
def test_the_second_example_runs_through_the_notebooks_without_sequences_and_tools_held_out(tmp_path: Path) -> None:
    model, run = str(save_tiny(tmp_path / "model", "llama")), tmp_path / "run"
    execute("01_build_kg", run_dir=str(run), table="mediakg", shown_nodes=30)
    manifest = runs.read_manifest(run, "kg")
    assert manifest["metrics"]["commands"] == 63 and manifest["metrics"]["agreement"] == {}
    sizes = {"train_cases": 40, "held_out_cases": 8, "steps": 2, "batch": 2}
    sizes |= {"held_out_sequences": 0, "held_out_tool_cases": 0}
    execute("02_train_qlora", run_dir=str(run), model=model, topics=[], checkpoint_every=2, **sizes)
    cases = load_cases(run / "adapter" / "cases_train.jsonl")
    assert len(cases) == 40 and {case.source.split(":")[0] for case in cases} == {"source"}
    metrics = runs.read_manifest(run, "adapter")["metrics"]
    assert metrics["splits"]["held_out_sequences"]["cases"] == 0 and "tuned_exact_30" in metrics
    assert not [name for name in metrics if name.startswith(("unseen_", "tools_"))]
    graph_file = run / "kg" / "graph.json"
    again = kg.load_graph(str(graph_file))
    assert again.kind == "graph" and kg.to_json(again.graph, tmp_path / "g").read_bytes() == graph_file.read_bytes()


def test_questions_and_merges_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    media = ["kg", "ask", "mediakg", "--from", "internet archive"]
    assert main([*media, "--to", "Transcript", "--k", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1. cost ") and "also needs: GGML model (whisper-cli)" in told
    assert main(["kg", "ask", "mediakg", "--from", "transcript", "--to", "16 kHz WAV"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("16 kHz WAV cannot be made from what is there.")
    assert "sox rate 16k gives it, and nothing leads to " in told
    assert main(media) == 0 and "format:wav" in capsys.readouterr().out
    assert main([*media, "--to", "nonsense"]) == 2
    kitchen, out = str(folder(tmp_path / "kitchen", ROWS[:6], relations=plain())), tmp_path / "both.json"
    tools = str(write_table(tmp_path / "tools"))
    files = ["--matches", str(tmp_path / "m.tsv"), "--conflicts", str(tmp_path / "c.json")]
    assert main(["kg", "merge", tools, kitchen, "--out", str(out), *files]) == 0
    assert "LicenseRef-unknown" in capsys.readouterr().out and (tmp_path / "m.tsv").read_text().startswith("made\t")
    assert "command:knead" in kg.from_json(out) and json.loads((tmp_path / "c.json").read_text()) == []


def test_a_graph_with_types_of_its_own_is_not_merged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Kitchen has types of its own \(season\)"):
        merge({"Kitchen": read_triples(folder(tmp_path)), "MediaKG": kg.load_graph("mediakg").graph})


def plain() -> dict[str, Any]:
    """The relations without those of types of their own."""
    return {word: how for word, how in SCHEMA["relations"].items() if "as" in how}


REGISTRY = DATA / "agreement"  # a tool and a component


def test_facts_are_exact_related_different_or_unknown(small: nx.MultiDiGraph) -> None:
    rows = {row.relation: row for row in agreement(small, REGISTRY)}
    found = {name: (row.checked, row.exact, row.related) for name, row in rows.items()}
    assert found["input"] == (3, 2, 0)  # FASTQ, the index by its extension; FASTA is not there
    assert found["output"] == (1, 0, 0)  # SAM for BAM; the index is an own term, and "textual format" says nothing
    assert found["output_data"] == (2, 0, 1)  # an alignment of sequences is_a alignment
    assert found["licensed_under"] == found["homepage"] == found["download"] == (1, 1, 0)
    assert found["has_topic"] == (1, 0, 1)  # RNA-Seq is_a sequencing
    assert found["input (by command)"] == (2, 1, 0)
    assert found["input_data"] == (0, 0, 0) and rows["input_data"].share is None
    assert all(row.facts == row.checked + row.unknown for row in rows.values())


def test_disagreements_say_both_sides(small: nx.MultiDiGraph) -> None:
    found = {(item.relation, item.subject, item.ours): item.theirs for item in disagreements(small, REGISTRY)}
    assert found["output", "tool:hisat2", "format_2573"] == ("format_2572",)
    assert found["input (by command)", "command:samtools sort", "format_2573"] == ("format_2572",)
    assert len(found) == sum(row.checked - row.exact - row.related for row in agreement(small, REGISTRY))


def test_missing_registry_files_are_named(tmp_path: Path, small: nx.MultiDiGraph) -> None:
    refused(r"registry\.jsonl", agreement, small, tmp_path, error=FileNotFoundError)


@pytest.mark.skipif(not (SHARED / "data" / "registry.jsonl").is_file(), reason="no reference data (WORKBENCH_SHARED)")
def test_the_shipped_table_agrees_with_the_registries() -> None:
    rows = {row.relation: row for row in agreement(build_graph(read_table()), SHARED / "data")}
    # registries name one of several formats that a tool takes: of 40 refused facts drawn at random 38 or more are true
    floors = {"input": 0.78, "output": 0.7}
    for relation, floor in floors.items():
        assert rows[relation].checked >= 200
        assert (rows[relation].share or 0) >= floor, rows[relation]
