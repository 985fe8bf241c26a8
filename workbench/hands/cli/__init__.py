"""The command line: `workbench COMMAND`.

For each command an `add(declare)` declares its words and what runs; whatever is slow to import is imported there, when
it runs. What runs returns an exit code, or nothing where it can only be done.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from workbench import __version__
from workbench.artifacts.start import own_process, this_command
from workbench.hands.cli import graphs, logs, notebooks, origins
from workbench.hands.cli.output import (
    DONE,
    SIGNAL,
    OutputError,
    code_of,
    complain,
    flush,
    is_unforeseen,
    result,
    settle,
)

Command = Callable[[argparse.Namespace], int | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, one of `workbench.hands.cli.output`; an error is one line on stderr."""
    if argv is None:
        own_process()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(given)
    finally:
        with suppress(OutputError):  # of --help and the like; of a command it was said
            flush()


def _main(given: list[str]) -> int:
    options = build_parser().parse_args(notebooks.shield_values(given))
    settle(quiet=options.quiet, as_json=options.log == "json")
    try:
        return options.command(options) or DONE
    except KeyboardInterrupt as stop:
        again = [word for word in given if word != "--fresh"]
        code = SIGNAL + getattr(stop, "signum", 2)
        complain(f"stopped. To go on where it stopped: {this_command()} {shlex.join(again)}", code=code)
        return code
    except Exception as error:
        if options.debug:
            raise
        code = code_of(error)
        if getattr(error, "gone", False):  # whoever reads no more is told nothing
            return code
        complain(f"{type(error).__name__}: {error}" if is_unforeseen(error) else str(error), code=code)
        return code


def build_parser() -> argparse.ArgumentParser:
    """The parser with every sub-command."""
    parser = argparse.ArgumentParser(prog="workbench", description="See what an adapter depends on.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    common.add_argument("--quiet", action="store_true", help="print errors and results only")
    common.add_argument("--log", choices=("text", "json"), default="text", help="json: one JSON object a line")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    declare = partial(_declare, commands, common)
    for add in (notebooks.add, logs.add, origins.add, notebooks.add_app, notebooks.add_bench, logs.add_sweep):
        add(declare)
    kg = commands.add_parser("kg", help="graphs: import them from registries, and what follows")
    parts = kg.add_subparsers(required=True, metavar="ACTION")
    for add in (graphs.add_import, graphs.add_merge, graphs.add_ask, logs.add_questions):
        add(partial(_declare, parts, common))
    origins.add_models(declare)
    declare("version", lambda _: result(__version__), "print the version")
    completion = declare("completion", _completion, "print what completes commands in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh")
    return parser


def _declare(commands: Any, common: Any, name: str, run: Command, text: str, **how: Any) -> argparse.ArgumentParser:
    """A command, what it runs and what its help says."""
    command = commands.add_parser(name, parents=[common], help=text, **how)
    command.set_defaults(command=run)
    return command


def _completion(options: argparse.Namespace) -> None:
    import shtab

    words = shtab.complete(build_parser(), options.shell)
    # bash completes names of files as well where no word of ours fits
    result(words.replace("complete -o bashdefault", "complete -o default -o bashdefault"))
