"""Damaged records: whatever a file holds, an importer gives a graph of the schema, findings, or its one error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from damaged_records import FUZZ, WORKFLOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.kg import check_graph, from_json
from workbench.kg.importers import IMPORTERS, Options, RegistryError, Report, assemble, import_registry
from workbench.kg.importers.core import quiet

OPTIONS = Options()
PLACES = {
    "biotools": "b.json", "edam": "e.tsv", "galaxy": "t.xml", "graphml": "g.graphml", "nfcore": "meta.yml",
    "rdf": "r.ttl", "tables": "components.jsonl", "triples": "t.csv", "workflow": "w.ga",
}  # fmt: skip
FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=sorted(FUZZ))
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "galaxy":
        pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
    return request.param


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_records_raise_nothing_and_cost_no_other_record(name: str, seed: int) -> None:
    how, note = FUZZ[name], Report()
    with tempfile.TemporaryDirectory() as place, quiet("galaxy"):
        how.write(Path(place), how.batch, np.random.default_rng(seed))
        try:
            graph = assemble(
                IMPORTERS[name](Path(place) / how.path, note, OPTIONS), note=note, edam=OPTIONS.vocabulary.edam
            )
        except RegistryError:
            return
    check_graph(graph)
    assert not how.intact or how.intact in graph


@FEW
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_graph_or_the_one_error(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / PLACES[name]
    path.write_bytes(content)
    out = tmp_path / "g.json"
    try:
        import_registry(IMPORTERS[name], path, out=out, report=tmp_path / "r.jsonl", options=OPTIONS)
    except RegistryError:
        return
    check_graph(from_json(out))
    assert all(json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines())


def test_file_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        for number in range(2):
            (folder / f"w{number}\udcff\n.ga").write_text(json.dumps(WORKFLOW))
    except (OSError, UnicodeError):
        pytest.skip("the file system takes no such names")
    import_registry(IMPORTERS["workflow"], folder, out=tmp_path / "g.json", report=tmp_path / "r.tsv")
    records = [chain["record"] for chain in from_json(tmp_path / "g.json").graph["toolchains"]]
    assert len(records) == 2 and all(record.isprintable() for record in records)
