"""The command line: `workbench COMMAND`.

For each command an `add(commands, common)` declares its words and sets what runs; whatever is slow to import is
imported there, when it runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from workbench import __version__
from workbench.artifacts.origin import this_command
from workbench.artifacts.start import own_process
from workbench.hands.cli import bench, exit, explain, kg, origins, run, sweep
from workbench.hands.cli.screen import OutputError, complain, flush, result, settle

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, one of `workbench.hands.cli.exit`; an error is one line on stderr."""
    if argv is None:
        own_process()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(given)
    finally:
        with suppress(OutputError):  # of --help and the like; of a command it was said
            flush()


def _main(given: list[str]) -> int:
    options = build_parser().parse_args(run.shield_values(given))
    options.argv = given
    settle(quiet=options.quiet, as_json=options.log == "json")
    try:
        return options.command(options)
    except KeyboardInterrupt as stop:
        return _stopped(options, getattr(stop, "signum", 2))
    except Exception as error:
        if options.debug:
            raise
        code = exit.code_of(error)
        if getattr(error, "gone", False):  # whoever reads no more is told nothing
            return code
        complain(f"{type(error).__name__}: {error}" if exit.is_unforeseen(error) else str(error), code=code)
        return code


def build_parser() -> argparse.ArgumentParser:
    """The parser with every sub-command."""
    parser = argparse.ArgumentParser(prog="workbench", description="See what an adapter depends on.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    common.add_argument("--quiet", action="store_true", help="print errors and results only")
    common.add_argument("--log", choices=("text", "json"), default="text", help="json: one JSON object a line")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        *(run.add, explain.add, origins.add, run.add_app, bench.add, sweep.add, kg.add, origins.add_models),
        *(_add_version, _add_completion),
    ):
        add(commands, common)
    return parser


def _add_version(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    version = commands.add_parser("version", parents=[common], help="print the version")
    version.set_defaults(command=_version)


def _version(_options: argparse.Namespace) -> int:
    result(__version__)
    return exit.DONE


def _add_completion(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    completion = commands.add_parser("completion", parents=[common], help="print what completes commands in a shell")
    completion.set_defaults(command=_completion)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh")


def _completion(options: argparse.Namespace) -> int:
    import shtab

    words = shtab.complete(build_parser(), options.shell)
    # bash completes names of files as well where no word of ours fits
    result(words.replace("complete -o bashdefault", "complete -o default -o bashdefault"))
    return 0


def _stopped(options: argparse.Namespace, signum: int) -> int:
    again = [word for word in options.argv if word != "--fresh"]
    code = exit.SIGNAL + signum
    complain(f"stopped. To go on where it stopped: {this_command()} {shlex.join(again)}", code=code)
    return code
