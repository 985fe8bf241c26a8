"""Reading terms, texts and licences as registries write them. Damaged records: whatever a file holds, an importer
gives a graph of the schema, findings, or its one error."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from damaged_records import FUZZ, WORKFLOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.kg import check_graph, from_json, load_edam
from workbench.kg.columns import OWN_TERM, branch_of
from workbench.kg.edam import ROOTS
from workbench.kg.importers import IMPORTERS, Options, RegistryError, Report, Vocabulary, assemble, import_registry
from workbench.kg.importers.imports import quiet
from workbench.kg.importers.items import REGISTRIES
from workbench.kg.importers.registered import Given, Port, port_terms
from workbench.kg.importers.vocabulary import COMPRESSION, FORMATS, OWN, PACKING, SPOKEN, licence_id, text, texts
from workbench.kg.naming import MAX_NAME, slug, spdx

VOCABULARY = Vocabulary()


def found(value: object, branch: str, label: object = None) -> tuple[list[str], str]:
    """Ids, and the action of the only finding ("" where there is none)."""
    note = Report()
    terms = VOCABULARY.terms(value, branch, note.at("f"), label=label)
    assert len(note.lines) <= 1
    return [term.id for term in terms], note.lines[0].action if note.lines else ""


@pytest.mark.parametrize(
    ("value", "branch", "ids", "action"),
    [
        ("format_2572", "format", ["format_2572"], ""),
        ("http://edamontology.org/format_2572", "format", ["format_2572"], ""),
        ("https://edamontology.org/format_2572/", "format", ["format_2572"], ""),
        ("EDAM:FORMAT_2572", "format", ["format_2572"], ""),
        ("edam_format:2572", "format", ["format_2572"], ""),
        ("bam", "format", ["format_2572"], ""),
        ("BAM format", "format", ["format_2572"], ""),
        ("fastqsanger", "format", ["format_1932"], ""),
        ("tabular", "format", ["format_3475"], ""),
        ("*.{bam,cram,sam}", "format", ["format_2572", "format_3462", "format_2573"], "repaired"),
        ("*.{gff, gtf}", "format", ["format_2305", "format_2306"], "repaired"),
        ("${prefix}_R1.fastq.gz", "format", ["format_1930"], "repaired"),
        ("*fastq.gz", "format", ["format_1930"], "repaired"),
        ("reads.sorted.bam.bai", "format", ["format_3327"], "repaired"),
        ("bai|csi|crai", "format", ["format_3327", "format:csi", "format:crai"], "kept"),
        (".{fa,fa.gz}", "format", ["format_1929"], "repaired"),
        ("*.gz", "format", ["format_3989"], "repaired"),
        ("*.tar.gz", "format", ["format_3981"], "repaired"),
        ("a folder with *.{bam,bai} in it", "format", ["format_2572", "format_3327"], "repaired"),
        ("ext:unheard-of", "format", ["format:unheard_of"], "kept"),
        ("*", "format", [], "dropped"),
        ("auto", "format", [], "dropped"),
        ("format_25722", "format", [], "dropped"),
        ("format_1915", "format", [], "dropped"),
        ("data_0848", "data", ["data_2044"], "repaired"),
        ("format_3989", "data", ["format_3989"], "repaired"),
        ("GZIP", "data", ["format_3989"], "repaired"),
        ("data_0863", "format", ["data_0863"], "repaired"),
        ("operation_3802", "topic", [], "dropped"),
        ("Sorting", "operation", ["operation_3802"], ""),
        ("no such thing", "topic", [], "dropped"),
        (None, "format", [], ""),
        ("", "format", [], ""),
        (["bam"], "format", [], "dropped"),
        (True, "format", [], "dropped"),
        ("{" * 100, "format", [], "dropped"),
        ("*.{" + "a," * 90 + "}", "format", ["format:a"], "kept"),
        ("*.{" + ",".join(f"a{n}" for n in range(50)) + "}{x,y}", "format", [], "dropped"),
    ],
)
def test_terms(value: object, branch: str, ids: list[str], action: str) -> None:
    assert found(value, branch) == (ids, action)


def test_a_pattern_that_is_too_long_is_cut_and_told() -> None:
    for pattern in ("{" * 300, "*.{" + "ab," * 200 + "}", "x" * 5000):
        note = Report()
        VOCABULARY.terms(pattern, "format", note.at("f"))
        assert note.lines[0].rule == f"longer than {MAX_NAME} characters, cut"


def test_a_label_stands_in_for_an_id_that_does_not_exist() -> None:
    assert found("format_25722", "format", "BAM") == (["format_2572"], "repaired")
    assert found("format_2572", "format", "FASTA") == (["format_2572"], "")


@given(st.text(max_size=60) | st.text(alphabet="*.{},|${}()ab gz", max_size=40), st.sampled_from(sorted(ROOTS)))
def test_whatever_is_written_gives_terms_of_the_graph_or_a_finding(value: str, branch: str) -> None:
    note = Report()
    terms = VOCABULARY.terms(value, branch, note.at("f"))
    edam = load_edam()
    for term in terms:
        assert (term.id in edam and not edam.terms[term.id].obsolete) or (OWN_TERM.fullmatch(term.id) and term.name)
        assert branch_of(term.id) == branch or {branch_of(term.id), branch} == {"format", "data"}
    assert terms or note.lines or not text(value, Report().at("f"))


def test_our_own_rules_name_live_formats() -> None:
    edam = load_edam()
    ids = {*FORMATS.values(), *OWN.values(), *COMPRESSION, *(term for term in PACKING.values() if term)}
    assert all(edam.check(term, "format") is None for term in ids)
    assert not FORMATS.keys() & OWN.keys()
    for word in SPOKEN:
        assert VOCABULARY.terms(word.removesuffix("s"), "format", Report().at("f")), word


GZIP = Given("format_3989")


@pytest.mark.parametrize(
    ("port", "term", "rule"),
    [
        (Port([Given("format_1930"), GZIP]), "format_1930", "compression given as a format or data type"),
        (Port([GZIP]), "format_3989", ""),
        (Port([GZIP], fallback=[Given("*.fastq.gz")]), "format_1930", "file pattern in place of a format"),
        (Port(prose="reads, a FastQ file"), "format_1930", "no format stated, read from the description"),
    ],
)
def test_compression_beside_content_is_left_out_and_what_says_more_is_read(port: Port, term: str, rule: str) -> None:
    note = Report()
    assert [one.id for one in port_terms(port, note.at("f"), VOCABULARY)] == [term]
    assert (note.lines[0].rule if note.lines else "") == rule


@pytest.mark.parametrize(
    ("name", "expected", "action"),
    [
        ("MIT", "MIT", ""),
        ("gpl-3.0-or-later", "GPL-3.0-or-later", ""),
        ("GPL (>= 2)", "GPL-2.0-or-later", "repaired"),
        ("GPL v3", "GPL-3.0", "repaired"),
        ("Apache License 2.0", "Apache-2.0", "repaired"),
        ("BSD 3-Clause License", "BSD-3-Clause", "repaired"),
        ("10x Genomics EULA", "LicenseRef-10x-genomics-eula", "kept"),
        ("名前", "LicenseRef-x", "kept"),
        (None, "", ""),
        (["MIT"], "", "dropped"),
    ],
)
def test_licences(name: object, expected: str, action: str) -> None:
    note = Report()
    licence = licence_id(name, note.at("f"))
    assert licence.startswith(expected) and (not licence or spdx(licence) == licence)
    assert [line.action for line in note.lines] == ([action] if action else [])


def test_licences_of_registries_are_spdx() -> None:
    assert all(spdx(licence) == licence for licence in REGISTRIES.values())


@given(st.text(max_size=300) | st.integers() | st.none() | st.floats() | st.lists(st.text(max_size=5)))
def test_texts_are_printable_lines_of_bounded_length(value: object) -> None:
    name = text(value, Report().at("f"))
    assert len(name) <= MAX_NAME and name == " ".join(name.split())
    name.encode("utf-8")
    assert "\0" not in name and "\x1b" not in name
    assert texts([value, value], Report().at("f")) == ([name] if name else [])


@given(st.text(max_size=80))
def test_slugs_are_ids_and_exist_where_there_is_a_letter(name: str) -> None:
    made = slug(name)
    assert slug(made) == made and made == made.lower() and made.isascii() and len(made) <= 100
    assert bool(made) or not any(character.isalnum() for character in name)


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
