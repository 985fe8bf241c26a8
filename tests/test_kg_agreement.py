"""Agreement with registries: the rules of comparison on a made registry, and the figures on the real one."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from importing import DATA, SHARED

from workbench.kg import agreement, build_graph, disagreements, read_table

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
    with pytest.raises(FileNotFoundError, match=r"registry\.jsonl"):
        agreement(small, tmp_path)


@pytest.mark.skipif(not (SHARED / "data" / "registry.jsonl").is_file(), reason="no reference data (WORKBENCH_SHARED)")
def test_the_shipped_table_agrees_with_the_registries() -> None:
    rows = {row.relation: row for row in agreement(build_graph(read_table()), SHARED / "data")}
    # registries name one of several formats that a tool takes: of 40 refused facts drawn at random 38 or more are true
    floors = {"input": 0.78, "output": 0.7}
    for relation, floor in floors.items():
        assert rows[relation].checked >= 200
        assert (rows[relation].share or 0) >= floor, rows[relation]
