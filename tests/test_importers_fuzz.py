"""Damaged records: whatever a file holds, an importer gives a graph of the schema, findings, or its one error."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from damaged_records import FUZZ, WORKFLOW, damaged, damaged_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.kg import check_graph, from_json
from workbench.kg.importers import IMPORTERS, Options, RegistryError, Report, assemble, import_registry
from workbench.kg.importers.core import quiet

SAMPLES = Path(os.environ.get("WORKBENCH_SHARED") or Path(__file__).resolve().parents[2] / "shared") / "samples"
OPTIONS = Options()
PLACES = {
    "biotools": "b.json", "edam": "e.tsv", "galaxy": "t.xml", "graphml": "g.graphml", "nfcore": "meta.yml",
    "rdf": "r.ttl", "tables": "components.jsonl", "triples": "t.csv", "workflow": "w.ga",
}  # fmt: skip
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", sorted(FUZZ))
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_records_raise_nothing_and_cost_no_other_record(name: str, seed: int) -> None:
    if name == "galaxy":
        pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
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


@pytest.mark.parametrize("name", sorted(FUZZ))
@FEW
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_graph_or_the_one_error(name: str, content: bytes, tmp_path: Path) -> None:
    if name == "galaxy":
        pytest.importorskip("galaxy.tool_util", reason="the extra galaxy is not installed")
    path = tmp_path / PLACES[name]
    path.write_bytes(content)
    out = tmp_path / "g.json"
    try:
        import_registry(IMPORTERS[name], path, out=out, report=tmp_path / "r.jsonl", options=OPTIONS)
    except RegistryError:
        return
    check_graph(from_json(out))
    assert all(json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no registry samples here")
@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("biotools", "biotools_json/*.json"),
        ("workflow", "galaxy_workflows/*.ga"),
        ("nfcore", "nfcore_modules/**/meta.yml"),
    ],
)
def test_damaged_real_files_give_files_that_can_be_read_back(name: str, pattern: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted(SAMPLES.glob(pattern))[:6]):
        place = tmp_path / "in" / str(number) / path.name
        place.parent.mkdir(parents=True)
        content = path.read_bytes()
        tree = json.dumps(damaged(json.loads(content), rng)).encode() if name != "nfcore" else content
        place.write_bytes(damaged_bytes(tree, rng) if name == "nfcore" else tree)
    graph, _ = import_registry(IMPORTERS[name], tmp_path / "in", out=tmp_path / "g.json", report=tmp_path / "r.tsv")
    assert from_json(tmp_path / "g.json").number_of_edges() == graph.number_of_edges()


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
