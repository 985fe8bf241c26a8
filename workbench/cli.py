"""The command line: `python -m workbench run | bench | version`."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import __version__

if TYPE_CHECKING:
    from workbench.parameters import Value

EXIT_ERROR = 2
RUN_DIR = "runs/demo"
LONG_ROW, FEW_ROWS = 8, 4  # columns and rows of a table that is turned on its side
BENCHES = ("planted", "certified", "difference", "peers")

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 error (one line on stderr), 128 + n signal n."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(_shield_values(given))
    options.argv = given
    try:
        return options.command(options)
    except KeyboardInterrupt as stop:
        return _stopped(options, getattr(stop, "signum", 2))
    except Exception as error:
        if options.debug:
            raise
        _complain(f"{type(error).__name__}: {error}" if _unforeseen(error) else str(error))
        return EXIT_ERROR


def build_parser() -> argparse.ArgumentParser:
    """The parser with every sub-command; one `_add_...` function each."""
    parser = argparse.ArgumentParser(prog="python -m workbench", description="See what an adapter depends on.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_run, _add_bench, _add_version):
        add(commands, common)
    return parser


def _add_run(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    run = commands.add_parser("run", parents=[common], help="run the notebooks in order and write a report")
    run.set_defaults(command=_run)
    run.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"folder for the results (default {RUN_DIR})")
    run.add_argument("--model", metavar="M", help="a Hugging Face model id or a local folder")
    run.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a notebook parameter: number, true/false, null, text, [list]; may be given many times",
    )
    run.add_argument("--timeout", metavar="S", type=_seconds, default=3600.0, help="seconds per notebook, 0: no limit")
    run.add_argument("--resume", action="store_true", help="keep the stages that are finished")
    run.add_argument("--notebooks", metavar="D", help="folder of the notebooks (default: those of this checkout)")


def _add_bench(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[common], help="measure: write figures as JSON and show them")
    bench.set_defaults(command=_bench)
    bench.add_argument("name", metavar="NAME", help=f"one of {', '.join(BENCHES)}")
    bench.add_argument("--json", metavar="FILE", required=True, help="where the figures go")
    bench.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"run to measure on (default {RUN_DIR})")
    bench.add_argument("--quick", action="store_true", help="a small part of it, to see whether it runs")
    bench.add_argument("--seed", type=int, default=0)


def _add_version(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    version = commands.add_parser("version", parents=[common], help="print the version")
    version.set_defaults(command=_version)


def _version(_options: argparse.Namespace) -> int:
    print(__version__)
    return 0


def _run(options: argparse.Namespace) -> int:
    from workbench.chain import run_chain  # the imports take a second; `version` and `--help` do without
    from workbench.report import write_report

    started = time.monotonic()
    parameters = _parameters(options)
    run_chain(
        options.run_dir,
        parameters=parameters,
        notebooks=options.notebooks,
        timeout=options.timeout or None,
        resume=options.resume,
        say=_say,
    )
    report = write_report(Path(options.run_dir).expanduser())
    _say(f"done in {time.monotonic() - started:.0f} s; the report is {os.path.relpath(report)}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    if options.name not in BENCHES:
        raise ValueError(f"no benchmark is called {options.name!r}; there are {', '.join(BENCHES)}")
    from workbench.bench import measure
    from workbench.files import atomic_write_json

    file = Path(options.json).expanduser()
    if not file.parent.is_dir():
        raise ValueError(f"--json {options.json}: the folder {str(file.parent)!r} does not exist; create it first")
    run_dir = Path(options.run_dir).expanduser()
    result = measure(options.name, run_dir=run_dir, quick=options.quick, seed=options.seed, say=_say)
    atomic_write_json(file, result)
    _show(result["table"], title=options.name)
    _say(f"done in {result['seconds']:.0f} s; the figures are in {os.path.relpath(file)}")
    return 0


def _show(rows: "Sequence[dict]", *, title: str) -> None:
    """Rows of plain values as a table; of few long rows, each is a column."""
    from rich.console import Console
    from rich.table import Table

    cells = [(name, *(_plain(row[name]) for row in rows)) for name in rows[0]]
    head, *body = cells if len(cells) > LONG_ROW and len(rows) <= FEW_ROWS else zip(*cells, strict=True)
    table = Table(*head, title=title)
    for line in body:
        table.add_row(*line)
    Console().print(table)


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _parameters(options: argparse.Namespace) -> "dict[str, Value]":
    from workbench.parameters import ParameterError, parse_value

    parameters: dict[str, Value] = {}
    pairs = [(name, parse_value(_unshield(value))) for name, value in options.parameters]
    if options.model is not None:
        pairs.append(("model", options.model))
    for name, value in pairs:
        if name == "run_dir":
            raise ParameterError("run_dir is not given with -p; give --run-dir")
        if name in parameters:
            raise ParameterError(f"{name} is given twice: {parameters[name]!r} and {value!r}")
        parameters[name] = value
    return parameters


def _shield_values(argv: Sequence[str]) -> list[str]:
    """Put a blank before a value such as `-1e-3`, which argparse would take for an option."""
    shielded = list(argv)
    for index in range(2, len(shielded)):
        if shielded[index - 2] == "-p" and shielded[index].lstrip(" ").startswith("-"):
            shielded[index] = " " + shielded[index]
    return shielded


def _unshield(value: str) -> str:
    return value[1:] if value.startswith(" ") and value.lstrip(" ").startswith("-") else value


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return seconds


def _stopped(options: argparse.Namespace, signum: int) -> int:
    again = [*options.argv, *([] if getattr(options, "resume", True) else ["--resume"])]
    _complain(f"stopped. To go on where it stopped: {_python()} -m workbench {shlex.join(again)}")
    return 128 + signum


def _python() -> str:
    """This interpreter as one would type it here; an environment in this folder is often not activated."""
    here = os.path.relpath(sys.executable)
    return sys.executable if here.startswith(os.pardir) else here


def _unforeseen(error: Exception) -> bool:
    """Errors of our own say what to do; of others the kind helps to understand the text."""
    return not type(error).__module__.startswith("workbench") and not isinstance(error, OSError)


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(" ".join(message.split()), style="red"), soft_wrap=True)
