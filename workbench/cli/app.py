"""`workbench app`: the mask explorer of a run as a page of its own, without code, behind a token."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workbench.cli.places import typed
from workbench.cli.run import RUN_DIR
from workbench.cli.screen import say

MOST_PORTS = 65_535
PAGE = Path("app") / "explorer.ipynb"


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    app = commands.add_parser("app", parents=[common], help="serve the mask explorer of a run as a page")
    app.set_defaults(command=_app)
    app.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"run to explore (default {RUN_DIR})")
    app.add_argument("--port", metavar="N", type=_port, default=8866, help="port on this machine (default 8866)")
    app.add_argument("--dark", action="store_true", help="light letters on a dark page")
    app.add_argument("--no-browser", action="store_true", help="do not open a browser")
    app.add_argument("--notebooks", metavar="D", help="folder of the notebooks (default: the package's own)")


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= MOST_PORTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, a whole number from 1 to {MOST_PORTS}")
    return number


def _app(options: argparse.Namespace) -> int:
    from workbench.artifacts import runs
    from workbench.headless.chain import find_notebooks
    from workbench.panel.page import RUN_DIR as VARIABLE

    folder = typed(options.run_dir).resolve()
    runs.require_stage(folder, "adapter")
    page = find_notebooks(options.notebooks) / PAGE
    if not page.is_file():
        raise FileNotFoundError(f"{page} does not exist; give the folder of the notebooks with --notebooks")
    say("the page asks for a token; the address that is printed and opened holds it. Stop with Ctrl-C.")
    environment = os.environ | {VARIABLE: str(folder), "JUPYTER_PATH": _jupyter_path(), "JUPYTER_PREFER_ENV_PATH": "1"}
    sys.stdout.flush()
    os.execve(sys.executable, _command(page, options), environment)  # in our place: a signal to us is one to the server


def _command(page: Path, options: argparse.Namespace) -> list[str]:
    settings = {
        "Voila.ip": "127.0.0.1",
        "Voila.auto_token": True,
        "VoilaConfiguration.template": "explorer",
        "VoilaConfiguration.allow_template_override": "NO",
        "VoilaConfiguration.allow_theme_override": "NO",
        "VoilaConfiguration.theme": "dark" if options.dark else "light",
        "VoilaConfiguration.strip_sources": True,
        "VoilaConfiguration.file_allowlist": "a^",  # matches no file; `[]` is deprecated there
    }
    given = [f"--{name}={value}" for name, value in settings.items()]
    quiet = ["--no-browser"] if options.no_browser else []
    return [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-m",
        "voila",
        str(page),
        f"--port={options.port}",
        *quiet,
        *given,
    ]


def _jupyter_path() -> str:
    """Where Voila finds the page's template, before what the user has set."""
    from importlib.resources import files

    own = str(files("workbench") / "data" / "jupyter")
    before = os.environ.get("JUPYTER_PATH")
    return os.pathsep.join([own, *([before] if before else [])])
