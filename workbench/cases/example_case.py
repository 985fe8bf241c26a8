"""A case to try things on."""

from workbench.cases import Case, Fact


def example_case() -> Case:
    """The smallest case there is, of one command and three facts, with names for a model.

    Examples:
        >>> case = example_case()
        >>> " -> ".join(case.names[node] for node in case.path), len(case.elements)
        ('SRA -> FASTQ -> star -> BAM', 7)
    """
    names = {"source:sra": "SRA", "format_1930": "FASTQ", "command:star": "star", "format_2572": "BAM"}
    path = tuple(names)
    facts = tuple(map(Fact, path, ("download_from", "input", "output"), path[1:]))
    return Case("one", path[0], path[-1], facts, path, names)
