"""`workbench bench`: a benchmark's figures as JSON and as a table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts.checks import check_seed
from workbench.artifacts.files import typed
from workbench.hands.bench import BENCHES
from workbench.hands.cli.run import RUN_DIR
from workbench.hands.cli.screen import result, say, show


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[common], help="measure: write figures as JSON and show them")
    bench.set_defaults(command=_bench)
    bench.add_argument("name", metavar="NAME", help=f"one of {', '.join(BENCHES)}; or compare, with two of their files")
    bench.add_argument("files", metavar="FILE", nargs="*", help="compare: A and B, results of one benchmark")
    bench.add_argument("--json", "--out", metavar="FILE", help="where the figures go")
    bench.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"run to measure on (default {RUN_DIR})")
    bench.add_argument("--quick", "--tiny", action="store_true", help="a small part of it, to see whether it runs")
    bench.add_argument("--seed", type=int, default=0)
    bench.add_argument("--model", metavar="M", help="cited: who answers (default smollm2)")
    bench.add_argument("--records", metavar="FILE", help="cited: a log (default: made from the packaged graph)")
    bench.add_argument("-n", metavar="N", type=int, help="cited: how many records (default 20)")
    bench.add_argument("--seconds", metavar="S", type=float, help="gpu: the most it may take (default 480)")
    bench.add_argument("--parts", metavar="A,B", help="gpu: some of its parts")


def _bench(options: argparse.Namespace) -> int:
    if options.name == "compare":
        return _compare(options)
    if options.name not in BENCHES:
        raise ValueError(f"no benchmark is called {options.name!r}; there are {', '.join(BENCHES)}, and compare")
    if options.files or not options.json:
        raise ValueError(f"bench {options.name} writes its figures to one file; give it as --json FILE")
    from workbench.artifacts.files import atomic_write_json
    from workbench.artifacts.stage import STAGES
    from workbench.hands.bench import measure

    check_seed(options.seed)
    run_dir = typed(options.run_dir)
    file = _file(options.json, reads=[run_dir / stage for stage in STAGES])
    own = _own(options, keep=lambda figures: atomic_write_json(file, {"benchmark": options.name, **figures}))
    result = measure(options.name, run_dir=run_dir, quick=options.quick, seed=options.seed, say=say, **own)
    atomic_write_json(file, result)
    show(result["table"], title=options.name)
    say(f"done in {result['seconds']:.0f} s; the figures are in {os.path.relpath(file)}")
    return 0


def _own(options: argparse.Namespace, *, keep: Callable[[dict], object]) -> dict[str, Any]:
    """What one benchmark alone takes. ValueError: it was given to another."""
    parts = options.parts.split(",") if options.parts else None
    of = {
        "gpu": {"seconds": options.seconds, "parts": parts},
        "cited": {"model": options.model, "records": options.records, "n": options.n},
    }
    for bench, given in of.items():
        own = {name: value for name, value in given.items() if value is not None}
        if own and options.name != bench:
            name = next(iter(own))
            flag = f"{'-' * min(2, len(name))}{name}"
            raise ValueError(f"{flag} is an option of bench {bench}; leave it out for bench {options.name}")
        if options.name == bench:
            return own | ({"keep": keep} if bench == "gpu" else {})
    return {}


def _compare(options: argparse.Namespace) -> int:
    """Ratios B / A, as a table and, where asked for, as JSON."""
    from workbench.artifacts.files import atomic_write_json
    from workbench.hands.bench.readings import compare

    if len(options.files) != 2:
        raise ValueError(f"bench compare takes two results, A and B, not {len(options.files)}")
    files = [typed(one) for one in options.files]
    out = _file(options.json, reads=files) if options.json else None
    found = compare(*files)
    if out:
        atomic_write_json(out, found)
    if found["table"]:
        show(found["table"], title=f"{found['benchmark']}: B / A, with 95 % intervals where both figures have one")
    for what, names in found["differs"].items():
        if names:
            result(f"differs: {what} {names}")
    return 0


def _file(given: str, *, reads: Sequence[Path]) -> Path:
    from workbench.artifacts.files import check_outputs, check_place

    file = typed(given)
    check_place("--json", file)
    check_outputs({"--json": file}, reads=reads)
    return file
