"""Tables of `data`: what tests put in, and what is to come of it."""

from pathlib import Path

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[list[str]]:
    """The rows of `data/NAME.tsv` below the names of its columns."""
    return [line.split("\t") for line in (DATA / f"{name}.tsv").read_text("utf-8").splitlines()[1:]]
