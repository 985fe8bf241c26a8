"""`workbench kg import`: a graph from a registry's files."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workbench.cli.places import typed
from workbench.cli.screen import say

FORMATS = ("nfcore", "biotools", "galaxy", "workflow", "edam", "rdf", "triples", "graphml", "tables")
SHOWN = 6  # rules of the report that the summary names
PATIENCE = 2.0  # seconds before the progress bar shows


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Declares `kg import`."""
    text = "a graph from a registry, with a report of what was wrong in it"
    command = commands.add_parser("import", parents=[common], help=text, description=f"Make {text}.")
    command.set_defaults(command=_import)
    command.add_argument("format", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    command.add_argument("path", metavar="PATH", help="file or folder to read")
    command.add_argument("--out", metavar="FILE", required=True, help="where the graph goes (node-link JSON)")
    command.add_argument("--report", metavar="FILE", help="where the findings go (.tsv: a table, else JSON lines)")
    command.add_argument("--mapping", metavar="FILE", help="what columns, types and relations of the file mean here")
    command.add_argument("--schema", metavar="FILE", help="what the words of a domain mean here, for any of its files")
    command.add_argument("--edam", metavar="FILE", help="look terms up in this EDAM (OWL, TSV or CSV)")


def _import(options: argparse.Namespace) -> int:
    from workbench.artifacts.outputs import check_outputs, check_place
    from workbench.kg import summary
    from workbench.kg.importers import (
        IMPORTERS,
        Options,
        RegistryError,
        Vocabulary,
        import_registry,
        read_edam,
        read_mapping,
    )

    if options.format not in IMPORTERS:
        raise RegistryError(f"no importer is called {options.format!r}; there are {', '.join(IMPORTERS)}")
    out = typed(options.out)
    report = typed(options.report) if options.report else None
    outputs = {"--out": out, **({"--report": report} if report else {})}
    for name, file in outputs.items():
        check_place(name, file)
    check_outputs(outputs, reads=[one for one in (options.mapping, options.schema, options.edam) if one])
    mapping = read_mapping(options.mapping, options.schema) if options.mapping or options.schema else None
    vocabulary = Vocabulary(read_edam(options.edam) if options.edam else None)
    started = time.perf_counter()
    with _bar(options.format) as progress:
        done = import_registry(
            IMPORTERS[options.format],
            typed(options.path),
            out=out,
            report=report,
            options=Options(vocabulary, mapping),
            progress=progress,
        )
    if done.resumed:
        say(f"{done.resumed} of {done.files} files were read before; went on from there")
    for rule, count in list(done.report.counts.items())[:SHOWN]:
        say(f"  {count:>7,}  {rule}")
    counts = summary(done.graph)
    actions = ", ".join(f"{count:,} {action}" for action, count in done.report.actions.items())
    say(
        f"{done.report.records:,} records: {counts['tools']:,} tools, {counts['commands']:,} commands, "
        f"{counts['sources']:,} sources, {counts['facts']:,} facts; findings: {actions}; "
        f"{time.perf_counter() - started:.1f} s; the graph is in {os.path.relpath(out)}"
    )
    return 0


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, str], None]]:
    """A bar that counts records, shown when it takes a while."""
    from tqdm import tqdm

    with tqdm(desc=f"import {title}", unit=" records", delay=PATIENCE, leave=False, mininterval=0.5) as bar:

        def progress(records: int, _file: str) -> None:
            bar.update(records - bar.n)

        yield progress
