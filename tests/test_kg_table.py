"""Reading the table: a good one is read whole, a broken one gives one error that names file, row and rule."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kg_tables import GOOD, edited, with_row, write_table
from refusals import refused

from workbench.kg import TableError, build_graph, digest, facts_table, read_table
from workbench.kg.columns import FILES
from workbench.kg.naming import shorten

GFFCOMPARE = ("gffcompare", "operation_0361", "format_2306", "format_2306", "", "data_3134")

# name of the case -> (file, row, column, its new value, part of the rule, part of the value or the advice)
CELLS: dict[str, tuple[str, int, str, str, str, str]] = {
    "unknown edam id": ("commands", 4, "inputs", "format_99999", "no such id", "format_99999"),
    "obsolete edam id": ("commands", 2, "operations", "operation_0261", "obsolete", "Use op"),
    "wrong branch": ("commands", 5, "outputs", "data_0863", "wrong branch, a format id is needed", "Sequence align"),
    "bare root": ("sources", 3, "data", "data_0006", "bare branch root", "specific"),
    "not a term": ("formats", 2, "format", "FASTQ", "not a term id", "'FASTQ'"),
    "unknown own term": ("formats", 4, "format", "format:star", "unknown own term", "terms.tsv"),
    "own term of wrong branch": ("formats", 2, "encodes", "format:hisat2_index", "wrong br", ""),
    "own term repeats edam": ("terms", 2, "name", "bam", "EDAM has a term", "format_2572"),
    "value twice": ("commands", 2, "outputs", "format_1930|format_1930", "twice in one", ""),
    "unknown tool": ("commands", 7, "tool", "stringtye", "unknown tool", "'stringtye'"),
    "bad tool id": ("tools", 2, "tool", "SRA Tools", "not a tool id", "'SRA Tools'"),
    "empty required": ("tools", 4, "topics", " ", "empty cell", "Fill it in"),
    "extra bar": ("commands", 4, "inputs", "format_1930|", "empty value between two |", ""),
    "bar in a name": ("commands", 4, "command", "a|b", "single values", "'a|b'"),
    "long name": ("tools", 5, "name", "x" * 10_000, "10000 characters", "'xxx"),
    "control character": ("tools", 5, "name", "String\x1b[2JTie", "control", "\\x1b"),
    "text direction": ("tools", 5, "name", "\u202eeiTgnirtS", "invisible", "\\u202e"),
    "lone carriage return": ("tools", 5, "name", "String\rTie", "control", "\\r"),
    "own terms of one name": ("terms", 3, "name", "hisat2 INDEX", "same name", "row 2"),
    "source named like a command": ("sources", 3, "name", "HISAT2", "same name", "command"),
    "cycle of two": ("terms", 2, "is_a", "format:hisat2_large_index", "cycle", "->"),
    "cycle of one": ("terms", 3, "is_a", "format:hisat2_large_index", "cycle", "->"),
    "homepage": ("tools", 3, "homepage", "javascript:alert(1)", "http(s) address", "https://"),
    "homepage without host": ("sources", 3, "homepage", "https://", "http(s) address", ""),
    "homepage with odd brackets": ("sources", 3, "homepage", "http://[x", "http(s)", ""),
    "licence prose": ("tools", 3, "license", "GPL v3", "SPDX", "'GPL v3'"),
    "licence spelling": ("tools", 4, "license", "mit", "SPDX", "Write MIT"),
    "licence expression": ("tools", 4, "license", "MIT OR ISC", "one SPDX", "'MIT OR ISC'"),
    "download": ("tools", 4, "download", "apt install samtools", "neither a package", "channel"),
}

# name of the case -> (file, row, its cells, part of the rule, part of the value or the advice)
STAR = ("star", "STAR", "", "topic_3170", "MIT", "https://x.org", "bioconda::star")
ADDED: dict[str, tuple[str, int, Sequence[str], str, str]] = {
    "cell too many": ("terms", 4, ("a", "b", "c", "d"), "wrong number of cells", "a\\tb"),
    "bad own id": ("terms", 4, ("format:HISAT 3", "x", "format_2333"), "own term id", "HISAT 3"),
    "duplicate tool": ("tools", 7, GOOD["tools.tsv"].split("\n")[2].split("\t"), "duplicate tool", "row 3"),
    "duplicate command": ("commands", 9, ("hisat2", *GFFCOMPARE), "duplicate command", "hisat2"),
    "duplicate source": ("sources", 4, GOOD["sources.tsv"].split("\n")[1].split("\t"), "duplicate source", "sra"),
    "duplicate term": ("terms", 4, ("format:hisat2_index", "x", "format_2333"), "duplicate term", ""),
    "tool without commands": ("tools", 7, STAR, "tool without commands", "'star'"),
    "same but for case": ("commands", 9, ("Samtools  Sort", *GFFCOMPARE), "same name", "row 5"),
    "command named like a format": ("commands", 9, ("Bam", *GFFCOMPARE), "same name", "2572"),
}

# name of the case -> (file, its new content, row, part of the rule, part of the value or the advice)
BROKEN: dict[str, tuple[str, str | bytes, int, str, str]] = {
    "empty file": ("tools", "", 0, "file is empty", "biotools_id"),
    "empty terms": ("terms", "", 0, "file is empty", "is_a"),
    "header only": ("commands", GOOD["commands.tsv"].split("\n")[0] + "\n", 1, "no rows", "at least one row"),
    "not utf-8": ("tools", GOOD["tools.tsv"].replace("SRA", "SR\xc4").encode("latin-1"), 2, "not UTF-8", "c4"),
    "utf-16": ("sources", GOOD["sources.tsv"].encode("utf-16"), 1, "not UTF-8", "ff"),
    "missing column": ("tools", GOOD["tools.tsv"].replace("topics", "topic"), 1, "missing column", "'topics'"),
    "unknown column": ("sources", "extra\t" + GOOD["sources.tsv"], 1, "unknown column", "'extra'"),
    "column twice": ("sources", "name\t" + GOOD["sources.tsv"], 1, "column given twice", "'name'"),
    "comma separated": ("formats", GOOD["formats.tsv"].replace("\t", ","), 1, "missing column", "parted by tabs"),
    "cell missing": ("formats", GOOD["formats.tsv"] + "format_1929\n", 5, "wrong number of cells, 1 for 2", "encodes"),
    "empty line": ("tools", GOOD["tools.tsv"].replace("\nhisat2", "\n\nhisat2"), 3, "empty line", "Remove"),
    **{
        name: (file, edited(f"{file}.tsv", row, column, value), row, rule, told)
        for name, (file, row, column, value, rule, told) in CELLS.items()
    },
    **{
        name: (file, with_row(f"{file}.tsv", *cells), row, rule, told)
        for name, (file, row, cells, rule, told) in ADDED.items()
    },
}


def test_the_good_table_is_read_whole(tmp_path: Path) -> None:
    table = read_table(write_table(tmp_path))
    sizes = [len(rows) for rows in (table.terms, table.formats, table.tools, table.commands, table.sources)]
    assert sizes == [2, 3, 5, 7, 2]
    assert table.commands[3].inputs == ("format_2573", "format_2572")
    assert table.tools[4].biotools_id == ""
    assert table.digest == digest(tmp_path) == digest(str(tmp_path))


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_gives_one_error_that_names_file_row_and_rule(case: str, tmp_path: Path) -> None:
    file, content, row, rule, value = BROKEN[case]
    folder = write_table(tmp_path / "table", **{file: content})
    with pytest.raises(TableError) as caught:
        read_table(folder)
    error, text = caught.value, str(caught.value)
    assert (error.file, error.row) == (f"{file}.tsv", row), text
    assert error.rule and rule in error.rule, text
    assert text.startswith(f"{file}.tsv") and (f"row {row}" in text) == (row > 0)
    assert value in text
    assert len(text) < 600 and text.isprintable()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(GOOD)  # nothing was written


@pytest.mark.parametrize("file", sorted(GOOD))
def test_a_missing_file_is_named(file: str, tmp_path: Path) -> None:
    (write_table(tmp_path) / file).unlink()
    for reader in (read_table, digest):
        refused(rf"^{file}: file missing", reader, tmp_path, error=TableError)


def test_the_first_broken_rule_in_file_order_is_told(tmp_path: Path) -> None:
    tools = edited("tools.tsv", 5, "license", "none").replace("https://www.htslib.org", "nowhere")
    write_table(tmp_path, tools=tools, sources=edited("sources.tsv", 2, "formats", "format_0"))
    with pytest.raises(TableError) as caught:
        read_table(tmp_path)
    assert (caught.value.file, caught.value.row, caught.value.column) == ("tools.tsv", 4, "homepage")


def test_line_ends_byte_order_mark_and_column_order_are_free(tmp_path: Path) -> None:
    plain = read_table(write_table(tmp_path / "plain"))
    terms = "\n".join("\t".join(reversed(line.split("\t"))) for line in GOOD["terms.tsv"].splitlines())
    tools = b"\xef\xbb\xbf" + GOOD["tools.tsv"].replace("\n", "\r\n").encode()
    other = read_table(write_table(tmp_path / "other", terms=terms, tools=tools))
    assert (other.terms, other.tools) == (plain.terms, plain.tools)
    assert other.digest != plain.digest


def test_terms_and_formats_may_hold_a_header_only(tmp_path: Path) -> None:
    commands = "\n".join(line for line in GOOD["commands.tsv"].splitlines() if not line.startswith("hisat2"))
    tools = "\n".join(line for line in GOOD["tools.tsv"].splitlines() if not line.startswith("hisat2"))
    heads = {name: GOOD[f"{name}.tsv"].split("\n")[0] for name in ("terms", "formats")}
    table = read_table(write_table(tmp_path, tools=tools, commands=commands, **heads))
    assert table.terms == table.formats == ()


@given(file=st.sampled_from(sorted(GOOD)), row=st.integers(2, 3), column=st.integers(0, 6), value=st.text(max_size=300))
@example("tools.tsv", 2, 1, "a\tb")
@example("commands.tsv", 3, 2, "\x00")
@example("sources.tsv", 3, 2, "https://[")
def test_any_cell_is_either_accepted_or_named(file: str, row: int, column: int, value: str) -> None:
    columns = GOOD[file].split("\n")[0].split("\t")
    name = columns[column % len(columns)]
    with tempfile.TemporaryDirectory() as folder:
        changed = edited(file, row, name, value).encode("utf-8", "surrogatepass")
        write_table(Path(folder), **{file.removesuffix(".tsv"): changed})
        try:
            read_table(folder)
        except TableError as error:
            assert error.file in FILES and error.rule and error.advice
            assert len(str(error)) < 700


@given(file=st.sampled_from(sorted(GOOD)), content=st.binary(max_size=200))
def test_any_bytes_give_a_table_error(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), **{file.removesuffix(".tsv"): content})
        with pytest.raises(TableError):
            read_table(folder)


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_graph_does_not_depend_on_the_order_of_rows(random) -> None:
    shuffled = {}
    for file, text in GOOD.items():
        head, *rows = text.splitlines()
        random.shuffle(rows)
        shuffled[file.removesuffix(".tsv")] = "\n".join([head, *rows]) + "\n"
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = build_graph(read_table(write_table(Path(one))))
        second = build_graph(read_table(write_table(Path(two), **shuffled)))
    assert facts_table(first) == facts_table(second)
    assert list(first.nodes(data=True)) == list(second.nodes(data=True))
    assert list(first.edges(keys=True)) == list(second.edges(keys=True))


@given(st.text(max_size=500))
def test_shown_values_are_short_and_printable(value: str) -> None:
    assert len(shorten(value)) <= 80 and shorten(value).isprintable()
