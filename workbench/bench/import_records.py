"""A small sound record for every importer, what stays sound in a file of many, and the files they are written to."""

# ruff: noqa: E501  (records are easier to read whole)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workbench.bench.mutate import damaged, damaged_bytes

NFCORE: Any = {
    "name": "samtools_sort",
    "tools": [
        {"samtools": {"homepage": "http://www.htslib.org", "doi": "10.1093/bioinformatics/btp352", "licence": ["MIT"], "identifier": "biotools:samtools"}}
    ],
    "input": [
        [
            {"meta": {"type": "map"}},
            {"bam": {"type": "file", "pattern": "*.{bam,cram,sam}", "ontologies": [{"edam": "http://edamontology.org/format_2572"}]}},
        ],
        [{"fai": {"type": "file", "pattern": "*.{fai}", "optional": "true"}}],
    ],
    "output": {"bam": [[{"meta": {"type": "map"}}, {"${prefix}.bam": {"type": "file", "pattern": "*.bam"}}]]},
}  # fmt: skip
BIOTOOLS: Any = {
    "biotoolsID": "samtools",
    "name": "SAMtools",
    "homepage": "http://www.htslib.org",
    "license": "MIT",
    "toolType": ["Command-line tool", "Database portal"],
    "topic": [{"term": "Mapping", "uri": "http://edamontology.org/topic_0102"}],
    "publication": [{"doi": "10.1093/bioinformatics/btp352"}],
    "download": [{"url": "https://anaconda.org/bioconda/samtools", "type": "Downloads page"}],
    "function": [
        {
            "cmd": "samtools sort",
            "operation": [{"term": "Sorting", "uri": "http://edamontology.org/operation_3802"}],
            "input": [{"data": {"uri": "http://edamontology.org/data_0863"}, "format": [{"term": "BAM", "uri": "http://edamontology.org/format_2572"}]}],
            "output": [{"data": {"term": "Sequence alignment"}, "format": [{"term": "BAM"}]}],
        }
    ],
}  # fmt: skip
WORKFLOW: Any = {
    "name": "sort reads",
    "license": "MIT",
    "steps": {
        "0": {"id": 0, "type": "data_input", "label": "reads", "outputs": [], "input_connections": {}},
        "1": {"id": 1, "type": "tool", "tool_id": "toolshed.org/repos/iuc/bwa/bwa_mem/1", "outputs": [{"name": "bam", "type": "bam"}], "input_connections": {"in": {"id": 0, "output_name": "output"}}},
        "2": {"id": 2, "type": "subworkflow", "input_connections": {"0:x": {"id": 1, "output_name": "bam"}}, "subworkflow": {"steps": {
            "0": {"id": 0, "type": "data_input", "label": "x"},
            "1": {"id": 1, "type": "tool", "tool_id": "samtools_sort", "outputs": [{"name": "o", "type": "bam"}], "input_connections": {"i": [{"id": 0, "output_name": "output"}]}, "workflow_outputs": [{"label": "sorted", "output_name": "o"}]},
        }}},
        "3": {"id": 3, "type": "tool", "tool_id": "stats", "input_connections": {"i": {"id": 2, "output_name": "sorted"}}, "outputs": [{"name": "t", "type": "txt"}]},
    },
}  # fmt: skip
TOOL: Any = {
    "id": "samtools", "name": "SAMtools", "biotools_id": "samtools", "homepage": "http://www.htslib.org", "license": "MIT",
    "package": "conda:samtools=1.2", "doi": ["10.1093/bioinformatics/btp352"], "topics": [["topic_0102", "Mapping"]], "sources": ["biotools"],
}  # fmt: skip
COMMAND: Any = {
    "id": "nfcore:samtools/sort", "tool": "samtools", "ops": ["operation_3802"],
    "inputs": [{"data": "data_0863", "formats": ["format_2572", "format_3989"]}, {"formats": ["ext:fai"]}],
    "outputs": [{"formats": ["format_2572"]}],
}  # fmt: skip
TRIPLE: Any = {
    "head": "samtools sort", "relation": "output", "tail": "format_2572", "head_type": "command", "record": "1", "licence": "MIT", "port": "0",
}  # fmt: skip
GALAXY = b"""<tool id="samtools_sort" name="Samtools sort" version="1">
<macros><token name="@V@">1.2</token><xml name="req"><requirements><requirement type="package" version="@V@">samtools</requirement><yield/></requirements></xml></macros>
<xrefs><xref type="bio.tools">samtools</xref></xrefs><edam_operations><edam_operation>operation_3802</edam_operation></edam_operations>
<expand macro="req"/><inputs><param name="input" type="data" format="sam,bam"/><repeat name="r"><param name="fa" type="data" format="fasta"/></repeat></inputs>
<outputs><data name="out" format="bam"><change_format><when input="o" value="x" format="cram"/></change_format></data><data name="b" format_source="input"/></outputs></tool>"""
OWL = b"""<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#">
<owl:Class rdf:about="http://edamontology.org/format_1915"><rdfs:label>Format</rdfs:label></owl:Class>
<owl:Class rdf:about="http://edamontology.org/format_9001"><rdfs:label>New format</rdfs:label><rdfs:subClassOf rdf:resource="http://edamontology.org/format_1915"/></owl:Class></rdf:RDF>"""
TURTLE = b"""@prefix ex: <http://example.org/> . @prefix edam: <http://edamontology.org/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:sort a ex:Command ; rdfs:label "samtools sort"@en ; ex:output edam:format_2572 ; ex:commandOf ex:samtools ; ex:performs edam:operation_3802 .
edam:format_2572 ex:input ex:sort ; rdfs:subClassOf edam:format_2333 . ex:samtools a ex:Tool ; ex:licensedUnder "MIT" .
"""
GRAPHML = b"""<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d0" for="node" attr.name="type" attr.type="string"/><key id="d1" for="node" attr.name="name"/><key id="d2" for="edge" attr.name="relation"/>
<graph edgedefault="directed"><node id="command:sort"><data key="d0">command</data><data key="d1">sort</data></node><node id="format_2572"><data key="d0">format</data></node>
<edge source="format_2572" target="command:sort" id="input"><data key="d2">input</data></edge><edge source="command:sort" target="format_2572" id="output"/></graph></graphml>"""

Write = Callable[[Path, int, np.random.Generator], None]


class Fuzz(NamedTuple):
    """How an importer is fuzzed: `write` puts `records` damaged records below a folder; `path` is what is imported.

    intact: a node that a sound record among the damaged ones gives, "" where each file holds one record.
    """

    write: Write
    path: str
    intact: str = ""
    batch: int = 1


def _lines(*sound: tuple[str, Any, Any]) -> Write:
    """JSON lines: damaged records and, last, a sound one under another name. sound: (file, record, change)."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for file, record, change in sound:
            rows = [_dumped(damaged(record, rng), rng) for _ in range(records)]
            rows.append(json.dumps({**record, **change}).encode())
            (folder / file).write_bytes(b"\n".join(rows))

    return write


def _dumped(tree: Any, rng: np.random.Generator) -> bytes:
    """A record as JSON on one line, one in five with damaged bytes as well."""
    line = json.dumps(tree).encode()
    return damaged_bytes(line, rng).replace(b"\n", b" ").replace(b"\r", b" ") if rng.random() < 0.2 else line


def _page(record: Any, change: Any) -> Write:
    """A page of an interface: {"list": [...]}, the sound record among the damaged ones."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        rows = [damaged(record, rng) for _ in range(records)]
        rows.insert(int(rng.integers(records + 1)), {**record, **change})
        (folder / "page.json").write_text(json.dumps({"count": records, "list": rows, "next": None}))

    return write


def _trees(record: Any, name: str) -> Write:
    """A file per record, damaged as a tree and one in five as bytes."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for number in range(records):
            place = folder / name.format(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps(damaged(record, rng)).encode()  # JSON is YAML too
            place.write_bytes(damaged_bytes(content, rng) if rng.random() < 0.2 else content)

    return write


def _texts(content: bytes, name: str) -> Write:
    """A file per record, damaged as bytes."""

    def write(folder: Path, records: int, rng: np.random.Generator) -> None:
        for number in range(records):
            (folder / name.format(number)).write_bytes(damaged_bytes(content, rng))

    return write


FUZZ: dict[str, Fuzz] = {
    "nfcore": Fuzz(_trees(NFCORE, "m{}/meta.yml"), ".", batch=25),
    "biotools": Fuzz(_page(BIOTOOLS, {"biotoolsID": "intact"}), "page.json", "tool:intact", batch=25),
    "galaxy": Fuzz(_texts(GALAXY, "tool{}.xml"), ".", batch=25),
    "workflow": Fuzz(_trees(WORKFLOW, "w{}.ga"), ".", batch=25),
    "edam": Fuzz(_texts(OWL, "e{}.owl"), ".", batch=25),
    "rdf": Fuzz(_texts(TURTLE, "r{}.ttl"), ".", batch=25),
    "triples": Fuzz(_lines(("t.jsonl", TRIPLE, {"head": "intact"})), "t.jsonl", "command:intact", batch=50),
    "graphml": Fuzz(_texts(GRAPHML, "g{}.graphml"), ".", batch=25),
    "tables": Fuzz(
        _lines(("registry.jsonl", TOOL, {"id": "intact"}), ("components.jsonl", COMMAND, {"id": "galaxy:intact"})),
        ".",
        "command:galaxy:intact",
        batch=25,
    ),
}
