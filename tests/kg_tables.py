"""A small table for the tests of the graph, and ways to break it."""

# ruff: noqa: E501  (the lines of a table are as long as they are)

from __future__ import annotations

from pathlib import Path

GOOD = {
    "terms.tsv": """term	name	is_a
format:hisat2_index	HISAT2 index	format_2333
format:hisat2_large_index	HISAT2 large index	format:hisat2_index
""",
    "formats.tsv": """format	encodes
format_1930	data_2044
format_2572	data_0863
format:hisat2_index	data_3210
""",
    "tools.tsv": """tool	name	biotools_id	topics	license	homepage	download
sra-tools	SRA Toolkit	sra-tools	topic_3168	LicenseRef-public-domain	https://github.com/ncbi/sra-tools	bioconda::sra-tools
hisat2	HISAT2	hisat2	topic_3170	GPL-3.0-or-later	https://daehwankimlab.github.io/hisat2/	bioconda::hisat2
samtools	SAMtools	samtools	topic_3168|topic_0102	MIT	https://www.htslib.org	bioconda::samtools
stringtie	StringTie	stringtie	topic_3308	MIT	https://ccb.jhu.edu/software/stringtie/	bioconda::stringtie
gffcompare	GffCompare		topic_3308	MIT	https://ccb.jhu.edu/software/stringtie/gffcompare.shtml	bioconda::gffcompare
""",
    "commands.tsv": """command	tool	operations	inputs	outputs	input_data	output_data
fasterq-dump	sra-tools	operation_2422	format_3698	format_1930		data_2044
hisat2-build	hisat2	operation_3211	format_1929	format:hisat2_index	data_2044	data_3210
hisat2	hisat2	operation_3198	format_1930|format:hisat2_index	format_2573	data_2044	data_0863
samtools sort	samtools	operation_3802	format_2573|format_2572	format_2572	data_0863	data_0863
samtools view	samtools	operation_0335	format_2573|format_2572	format_2572	data_0863	data_0863
stringtie	stringtie	operation_3258	format_2572	format_2306	data_0863	data_1276
gffcompare	gffcompare	operation_0361	format_2306	format_2306	data_1276	data_3134
""",
    "sources.tsv": """source	name	homepage	formats	data
sra	Sequence Read Archive	https://www.ncbi.nlm.nih.gov/sra	format_3698	data_2044
ensembl	Ensembl	https://www.ensembl.org	format_1929|format_2306	data_2044
""",
}


def write_table(folder: Path, **changes: str | bytes) -> Path:
    """Writes the good table with whole files replaced, as in `tools="..."`; gives the folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in GOOD.items():
        content = changes.get(file.removesuffix(".tsv"), text)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def edited(file: str, row: int, column: str, value: str) -> str:
    """The good file with one cell replaced; `row` counts as an editor does, the header being row 1."""
    lines = [line.split("\t") for line in GOOD[file].splitlines()]
    lines[row - 1][lines[0].index(column)] = value
    return "\n".join("\t".join(line) for line in lines) + "\n"


def with_row(file: str, *cells: str) -> str:
    """The good file with one more row."""
    return GOOD[file] + "\t".join(cells) + "\n"


PORTS = {
    "terms.tsv": """term	name	is_a
format:hisat2_index	HISAT2 index	format_2333
data:reads	Sequencing reads	data_2044
""",
    "commands.tsv": """command	tool	operations	standing	inputs	outputs
fasterq-dump	sra-tools	operation_2422	standard	format_3698=data:reads	format_1930=*
hisat2	hisat2	operation_3198	standard	format_1930=data:reads[rna] ; +format:hisat2_index=data_3210	format_2573=data_0863[rna,unsorted]
samtools sort	samtools	operation_3802	standard	format_2573|format_2572=data_0863[unsorted]	format_2572=*[sorted]
stringtie	stringtie	operation_3258	common	format_2572=data_0863[sorted,rna] ; ?format_2306=data_1276	format_2306=data_1276
gffcompare	gffcompare	operation_0361	special	format_2306=data_1276	format_2306=data_1276 ; format_3475=data_3134
""",
    "sources.tsv": """source	name	homepage	formats
sra	Sequence Read Archive	https://www.ncbi.nlm.nih.gov/sra	format_3698=data:reads
ensembl	Ensembl	https://www.ensembl.org	format_1929=data_2044 ; format_2306=data_1276
""",
    "states.tsv": """state	axis	meaning
rna	assay	from RNA
dna	assay	from DNA
sorted	order	by position
unsorted	order	as it came
""",
}
"""The files of the small table that differ where it states ports, kinds of data, states and standing."""


def write_ports(folder: Path, **changes: str) -> Path:
    """The small table with ports; whole files replaced as in `write_table`."""
    write_table(folder, **{name.removesuffix(".tsv"): text for name, text in PORTS.items()} | changes)
    (folder / "states.tsv").write_text(changes.get("states", PORTS["states.tsv"]), encoding="utf-8")
    return folder
