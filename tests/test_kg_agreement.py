"""Agreement with registries: the rules of comparison on a made registry, and the figures on the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from importing import SHARED
from kg_tables import write_table

from workbench.kg import agreement, build_graph, disagreements, read_table

RECORD = {
    "id": "hisat_2",
    "biotools_id": "HISAT2",
    "license": "GPL v3",
    "homepage": "http://daehwankimlab.github.io/hisat2",
    "package": "conda:hisat2=2.2.1",
    "operations": [["operation_0292", "Sequence alignment"]],
    "topics": [["topic_3168", "Sequencing"]],
    "inputs": [{"data": None, "formats": ["format_1930", "format_2330", "ext:hisat2_index"]}],
    "outputs": [{"data": "data_1916", "formats": ["format_2572", "format_2330"]}],
}
COMPONENT = {"id": "nfcore:samtools/sort", "tool": "samtools", "inputs": [{"formats": ["format_2572"]}], "outputs": []}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A folder with one tool and one component."""
    (tmp_path / "registry.jsonl").write_text(json.dumps(RECORD) + "\n")
    (tmp_path / "components.jsonl").write_text(json.dumps(COMPONENT) + "\n")
    return tmp_path


def test_facts_are_exact_related_different_or_unknown(registry: Path) -> None:
    graph = build_graph(read_table(write_table(registry / "table")))
    rows = {row.relation: row for row in agreement(graph, registry)}
    found = {name: (row.checked, row.exact, row.related) for name, row in rows.items()}
    assert found["input"] == (3, 2, 0)  # FASTQ, the index by its extension; FASTA is not there
    assert found["output"] == (1, 0, 0)  # SAM for BAM; the index is an own term, and "textual format" says nothing
    assert found["output_data"] == (2, 0, 1)  # an alignment of sequences is_a alignment
    assert found["licensed_under"] == found["homepage"] == found["download"] == (1, 1, 0)
    assert found["has_topic"] == (1, 0, 1)  # RNA-Seq is_a sequencing
    assert found["input (by command)"] == (2, 1, 0)
    assert found["input_data"] == (0, 0, 0) and rows["input_data"].share is None
    assert all(row.facts == row.checked + row.unknown for row in rows.values())


def test_disagreements_say_both_sides(registry: Path) -> None:
    graph = build_graph(read_table(write_table(registry / "table")))
    found = {(item.relation, item.subject, item.ours): item.theirs for item in disagreements(graph, registry)}
    assert found["output", "tool:hisat2", "format_2573"] == ("format_2572",)
    assert found["input (by command)", "command:samtools sort", "format_2573"] == ("format_2572",)
    assert len(found) == sum(row.checked - row.exact - row.related for row in agreement(graph, registry))


def test_missing_registry_files_are_named(tmp_path: Path) -> None:
    graph = build_graph(read_table(write_table(tmp_path)))
    with pytest.raises(FileNotFoundError, match=r"registry\.jsonl"):
        agreement(graph, tmp_path / "none")


@pytest.mark.skipif(not (SHARED / "data" / "registry.jsonl").is_file(), reason="no reference data (WORKBENCH_SHARED)")
def test_the_shipped_table_agrees_with_the_registries() -> None:
    rows = {row.relation: row for row in agreement(build_graph(read_table()), SHARED / "data")}
    # registries name one of several formats that a tool takes: of 40 refused facts drawn at random 38 or more are true
    floors = {"input": 0.78, "output": 0.7}
    for relation, floor in floors.items():
        assert rows[relation].checked >= 200
        assert (rows[relation].share or 0) >= floor, rows[relation]
