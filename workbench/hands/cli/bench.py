"""`workbench bench`: a benchmark's figures as JSON and as a table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts.checks import check_seed
from workbench.artifacts.files import atomic_write_json, check_outputs, check_place, typed
from workbench.artifacts.stage import STAGES
from workbench.hands.bench import BENCHES, measure
from workbench.hands.cli.run import RUN_DIR
from workbench.hands.cli.screen import result, say, show

OWN = {"seconds": "gpu", "parts": "gpu", "model": "cited", "records": "cited", "n": "cited"}
"""Option -> the one benchmark that takes it."""


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    bench = declare("bench", _bench, "measure: write figures as JSON and show them")
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
    bench.add_argument("--parts", metavar="A,B", type=_parts, help="gpu: some of its parts")


def _parts(text: str) -> list[str] | None:
    return text.split(",") if text else None


def _bench(options: argparse.Namespace) -> None:
    if options.name == "compare":
        _compare(options)
        return
    if options.name not in BENCHES:
        raise ValueError(f"no benchmark is called {options.name!r}; there are {', '.join(BENCHES)}, and compare")
    if options.files or not options.json:
        raise ValueError(f"bench {options.name} writes its figures to one file; give it as --json FILE")
    check_seed(options.seed)
    run_dir = typed(options.run_dir)
    file = _file(options.json, reads=[run_dir / stage for stage in STAGES])
    own = _own(options)
    if options.name == "gpu":
        own["keep"] = lambda figures: atomic_write_json(file, {"benchmark": options.name, **figures})
    result = measure(options.name, run_dir=run_dir, quick=options.quick, seed=options.seed, say=say, **own)
    atomic_write_json(file, result)
    show(result["table"], title=options.name)
    say(f"done in {result['seconds']:.0f} s; the figures are in {os.path.relpath(file)}")


def _own(options: argparse.Namespace) -> dict[str, Any]:
    """What one benchmark alone takes. ValueError: it was given to another."""
    own = {name: getattr(options, name) for name in OWN if getattr(options, name) is not None}
    for name in own:
        if OWN[name] != options.name:
            flag = f"{'-' * min(2, len(name))}{name}"
            raise ValueError(f"{flag} is an option of bench {OWN[name]}; leave it out for bench {options.name}")
    return own


def _compare(options: argparse.Namespace) -> None:
    """Ratios B / A, as a table and, where asked for, as JSON."""
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


def _file(given: str, *, reads: Sequence[Path]) -> Path:
    file = typed(given)
    check_place("--json", file)
    check_outputs({"--json": file}, reads=reads)
    return file
