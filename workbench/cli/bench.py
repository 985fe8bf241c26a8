"""`python -m workbench bench`: a benchmark's figures as JSON and as a table."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from workbench.cli.run import RUN_DIR
from workbench.cli.screen import say, show

BENCHES = ("planted", "certified", "difference", "peers", "agreement", "spectra", "kills")


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[common], help="measure: write figures as JSON and show them")
    bench.set_defaults(command=_bench)
    bench.add_argument("name", metavar="NAME", help=f"one of {', '.join(BENCHES)}")
    bench.add_argument("--json", metavar="FILE", required=True, help="where the figures go")
    bench.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"run to measure on (default {RUN_DIR})")
    bench.add_argument("--quick", action="store_true", help="a small part of it, to see whether it runs")
    bench.add_argument("--seed", type=int, default=0)


def _bench(options: argparse.Namespace) -> int:
    if options.name not in BENCHES:
        raise ValueError(f"no benchmark is called {options.name!r}; there are {', '.join(BENCHES)}")
    from workbench.bench import measure
    from workbench.files import atomic_write_json

    file = Path(options.json).expanduser()
    if not file.parent.is_dir():
        raise ValueError(f"--json {options.json}: the folder {str(file.parent)!r} does not exist; create it first")
    run_dir = Path(options.run_dir).expanduser()
    result = measure(options.name, run_dir=run_dir, quick=options.quick, seed=options.seed, say=say)
    atomic_write_json(file, result)
    show(result["table"], title=options.name)
    say(f"done in {result['seconds']:.0f} s; the figures are in {os.path.relpath(file)}")
    return 0
