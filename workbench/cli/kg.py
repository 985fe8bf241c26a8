"""`workbench kg ...`: the commands about graphs, each in its own file `kg_<name>.py` with an `add`."""

from __future__ import annotations

import argparse

from workbench.cli import kg_ask, kg_import, kg_merge, kg_questions

PARTS = (kg_import, kg_merge, kg_ask, kg_questions)


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Declares `kg` and the commands below it."""
    kg = commands.add_parser("kg", help="graphs: import them from registries, and what follows")
    parts = kg.add_subparsers(required=True, metavar="ACTION")
    for part in PARTS:
        part.add(parts, common)
