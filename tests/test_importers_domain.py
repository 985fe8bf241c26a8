"""Importers without a fixed vocabulary: typed triples, RDF, GraphML, other versions of EDAM; mapping and safety."""

import json
import socket
from importlib.resources import files
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from damaged_records import GRAPHML, OWL, RECORDS, TURTLE
from importing import imported, write
from refusals import refused

from workbench.kg import load_edam
from workbench.kg.importers import RegistryError, Report, Vocabulary, read_edam, read_mapping
from workbench.kg.importers.mapping import words
from workbench.kg.triples import read_triples

MEDIA = Path(str(files("workbench"))) / "data" / "mediakg"
Names = set[tuple[str, str, str]]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look towards the network fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"an importer opened a connection: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def named(graph: nx.MultiDiGraph) -> Names:
    name = dict(graph.nodes(data="name"))
    return {(name[h], k, name[t]) for h, t, k in graph.edges(keys=True)}


def test_triples_of_a_domain_give_the_graph_that_its_own_reader_gives() -> None:
    graph, note = imported("triples", MEDIA / "triples.tsv", read_mapping(None, MEDIA / "schema.json"))
    assert named(graph) == named(read_triples(MEDIA)) and not note.actions["dropped"]


COLUMNS = {"columns": {"who": "head", "does": "relation", "what": "tail"}, "relations": {"writes": "output"}}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("t.tsv", "who\tdoes\twhat\nsort\twrites\tBAM\nsort\twrites\n\nsort\thates\tSAM\n"),
        ("t.csv", 'who,does,what\nsort,writes,"BAM"\nsort,writes\nsort,hates,"SAM"\n'),
        ("t.jsonl", '{"who": "sort", "does": "writes", "what": "BAM"}\n[1]\n{"who": "a", "does": "eats", "what": 1}\n'),
    ],
)  # fmt: skip
def test_triples_as_a_table_and_as_lines(tmp_path: Path, file: str, text: str) -> None:
    mapping = {**COLUMNS, "registry": "kitchen", "licence": "CC0-1.0"}
    graph, note = imported("triples", write(tmp_path / file, text), mapping)
    assert graph.edges["command:sort", "format_2572", "output"]["provenance"][0]["registry"] == "kitchen"
    assert {line.rule for line in note.lines if line.action == "dropped"} >= {"relation that has no meaning here"}
    assert note.actions["dropped"] == 2 and graph.graph["licences"] == ["CC-BY-SA-4.0", "CC0-1.0"]


def test_a_relation_may_run_the_other_way_and_prefixes_tell_types(tmp_path: Path) -> None:
    mapping = {
        "relations": {"needs": {"relation": "input_data", "reverse": True}, "sells": "download_from"},
        "prefixes": {"http://kitchen.org/dish/": "data"},
        "edam": False,
    }
    text = "cook\tneeds\thttp://kitchen.org/dish/Рис\nshop\tsells\thttp://kitchen.org/dish/Рис\n"
    graph, _ = imported("triples", write(tmp_path / "t.tsv", text), mapping)
    (dish,) = [node for node, kind in graph.nodes(data="type") if kind == "data"]
    assert graph.has_edge(dish, "command:cook", "input_data") and graph.has_edge("source:shop", dish, "download_from")


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ({"colums": {}}, "unknown key 'colums'"),
        ({"columns": {"a": "hed"}}, "columns.a must be one of head"),
        ({"types": {"dish": "meal"}}, "types.dish must be one of tool"),
        ({"relations": {"eats": {"relation": "eat"}}}, "relations.eats must be one of input"),
        ({"relations": ["eats"]}, "relations must be an object"),
        ({"registry": 5}, "registry must be a text"),
    ],
)
def test_a_bad_mapping_names_the_key_and_the_rule(mapping: dict[str, Any], told: str, tmp_path: Path) -> None:
    refused(told, words, mapping, error=RegistryError)
    refused(told, read_mapping, write(tmp_path / "m.json", json.dumps(mapping)), error=RegistryError)


def test_a_mapping_or_schema_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name, text in (("m.json", "{"), ("m.yml", "a: ["), ("n.json", "[1]"), ("m.yaml", "- a")):
        refused(name, read_mapping, write(tmp_path / name, text), error=RegistryError)
    refused("no such file", read_mapping, tmp_path / "none.json", error=RegistryError)
    refused("not a schema", read_mapping, None, write(tmp_path / "s.json", "{}"), error=RegistryError)


@pytest.mark.parametrize("form", ["ttl", "nt", "jsonld"])
def test_rdf_in_its_forms(form: str) -> None:
    graph, note = imported("rdf", RECORDS / f"facts.{form}")
    command = "command:http://example.org/sort"
    assert graph.has_edge(command, "format_2572", "output")
    assert any(
        h == command and t.startswith("tool:samtools_") for h, t, k in graph.edges(keys=True) if k == "command_of"
    )
    if form == "nt":
        assert [(line.place, line.rule) for line in note.lines] == [("line 2", "not an N-Triple")]


def test_restrictions_of_an_ontology_are_triples(tmp_path: Path) -> None:
    text = """@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
    @prefix e: <http://edamontology.org/> . @prefix ex: <http://example.org/> .
    e:format_2572 rdfs:subClassOf e:format_2333, [ a owl:Restriction ; owl:onProperty e:is_format_of ;
        owl:someValuesFrom e:data_0863 ] ; ex:opinion "nice" ."""
    mapping = {"relations": {"is_format_of": "encodes"}}
    graph, note = imported("rdf", write(tmp_path / "o.ttl", text), mapping)
    assert graph.has_edge("format_2572", "data_0863", "encodes")
    assert graph.has_edge("format_2572", "format_2333", "format_is_a")
    assert {line.rule for line in note.lines} == {"property that has no meaning here, told once"}


BOMB = "<!DOCTYPE r [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]>"
OUTSIDE = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x"> %a;]>'


@pytest.mark.parametrize("declared", [BOMB, OUTSIDE, PARAMETER])
@pytest.mark.parametrize(
    ("name", "file", "content"), [("rdf", "x.owl", OWL), ("edam", "x.owl", OWL), ("graphml", "x.graphml", GRAPHML)]
)
def test_entities_that_grow_or_fetch_are_refused(
    tmp_path: Path, name: str, file: str, content: bytes, declared: str
) -> None:
    body = content.decode().replace('<?xml version="1.0"?>', "")
    body = body.replace("New format", "&c;").replace(">sort<", ">&a;<")
    graph, note = imported(name, write(tmp_path / file, declared + body))
    told = [f"{line.rule} {line.value}" for line in note.lines]
    assert "not XML that can be read safely" in told[0] and "EntitiesForbidden" in told[0]
    assert not any("haha" in str(value) or "root:" in str(value) for value in graph.nodes(data=True))


def test_short_plain_entities_of_ontologies_are_read(tmp_path: Path) -> None:
    text = OWL.decode().replace('<?xml version="1.0"?>', '<!DOCTYPE r [<!ENTITY e "http://edamontology.org/">]>')
    text = text.replace('"http://edamontology.org/format_9001', '"&e;format_9001')
    graph, _ = imported("edam", write(tmp_path / "x.owl", text))
    assert graph.has_edge("format_9001", "format_1915", "format_is_a")


@pytest.mark.parametrize(
    "context", ["http://127.0.0.1:9/c", ["http://127.0.0.1:9/c"], {"@import": "http://127.0.0.1:9/c"}, "c.jsonld"]
)
def test_a_context_from_elsewhere_is_refused(tmp_path: Path, context: Any) -> None:
    document = json.loads((RECORDS / "facts.jsonld").read_bytes()) | {"@context": context}
    graph, note = imported("rdf", write(tmp_path / "r.jsonld", document))
    assert not graph and "context at an address" in note.lines[0].rule


def test_graphml_as_networkx_writes_it(tmp_path: Path) -> None:
    graph, _ = imported("rdf", write(tmp_path / "r.ttl", TURTLE))
    plain = nx.MultiDiGraph()
    for node, attributes in graph.nodes(data=True):
        plain.add_node(node, type=attributes["type"], name=attributes["name"])
    plain.add_edges_from((h, t, k, {}) for h, t, k in graph.edges(keys=True))
    nx.write_graphml(plain, tmp_path / "g.graphml")
    again, note = imported("graphml", tmp_path / "g.graphml")
    assert set(again.edges(keys=True)) == set(graph.edges(keys=True))
    assert dict(again.nodes(data="name")) == dict(graph.nodes(data="name")) and not note.actions["dropped"]


def test_edam_as_table_and_as_owl(tmp_path: Path) -> None:
    table = Path(str(files("edam_ontology"))) / "EDAM.tsv"
    graph, note = imported("edam", table)
    edam = load_edam()
    live = {term for term in edam.terms if not edam.terms[term].obsolete}
    counts = note.counts
    assert set(graph) == live and counts["obsolete class (dropped)"] == len(edam.terms) - len(live)
    assert note.records == len(live) + sum(counts.values()), "every row is a node or a finding"
    other = read_edam(table)
    assert other.terms == edam.terms
    graph, _ = imported("edam", write(tmp_path / "x.owl", OWL))
    assert graph.nodes["format_9001"]["name"] == "New format"
    refused("no complete EDAM", read_edam, tmp_path / "x.owl", error=RegistryError)


def test_terms_are_looked_up_in_the_ontology_that_is_given(tmp_path: Path) -> None:
    table = (Path(str(files("edam_ontology"))) / "EDAM.tsv").read_text().splitlines()
    row = next(line for line in table if line.startswith("http://edamontology.org/format_2572\t"))
    newer = [*table, row.replace("format_2572", "format_9999", 1).replace("\tBAM\t", "\tBAM 2\t", 1)]
    vocabulary = Vocabulary(read_edam(write(tmp_path / "EDAM_9.tsv", "\n".join(newer))))
    assert vocabulary.terms("BAM 2", "format", Report().at("f"))[0].id == "format_9999"
    assert vocabulary.edam.version == "EDAM_9"
