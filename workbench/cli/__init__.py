"""The command line: `python -m workbench COMMAND`, one file a command.

A command's file has `add(commands, common)`, which declares its words and sets what runs; whatever is slow to import is
imported there, when it runs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence

from workbench import __version__
from workbench.cli import bench, run
from workbench.cli.screen import complain

EXIT_ERROR = 2
COMMANDS = (run, bench)

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 error (one line on stderr), 128 + n signal n."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(run.shield_values(given))
    options.argv = given
    try:
        return options.command(options)
    except KeyboardInterrupt as stop:
        return _stopped(options, getattr(stop, "signum", 2))
    except Exception as error:
        if options.debug:
            raise
        complain(f"{type(error).__name__}: {error}" if _unforeseen(error) else str(error))
        return EXIT_ERROR


def build_parser() -> argparse.ArgumentParser:
    """The parser with every sub-command."""
    parser = argparse.ArgumentParser(prog="python -m workbench", description="See what an adapter depends on.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (*(command.add for command in COMMANDS), _add_version):
        add(commands, common)
    return parser


def _add_version(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    version = commands.add_parser("version", parents=[common], help="print the version")
    version.set_defaults(command=_version)


def _version(_options: argparse.Namespace) -> int:
    print(__version__)
    return 0


def _stopped(options: argparse.Namespace, signum: int) -> int:
    again = [*options.argv, *([] if getattr(options, "resume", True) else ["--resume"])]
    complain(f"stopped. To go on where it stopped: {_python()} -m workbench {shlex.join(again)}")
    return 128 + signum


def _python() -> str:
    """This interpreter as one would type it here; an environment in this folder is often not activated."""
    here = os.path.relpath(sys.executable)
    return sys.executable if here.startswith(os.pardir) else here


def _unforeseen(error: Exception) -> bool:
    """Errors of our own say what to do; of others the kind helps to understand the text."""
    return not type(error).__module__.startswith("workbench") and not isinstance(error, OSError)
