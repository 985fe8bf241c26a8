"""`workbench run|app|bench`: the notebooks in order, and the report; the mask explorer as a page; a benchmark's figures
as JSON and as a table."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.artifacts.checks import check_seed
from workbench.artifacts.files import atomic_write_json, check_outputs, check_place, typed
from workbench.artifacts.provenance import PACKAGE_FOLDER
from workbench.artifacts.stage import STAGES
from workbench.hands.bench import BENCHES, compare, measure
from workbench.hands.cli.output import result, say, show, tell

if TYPE_CHECKING:
    from workbench.artifacts.parameters import Value

RUN_DIR = "runs/demo"
OPTIONS = {"-p", "--run-dir", "--model", "--timeout", "--fresh", "--notebooks", "--debug", "--quiet", "--log"}
"""What is no value of a parameter, wherever it stands."""


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    run = declare("run", _run, "run the notebooks in order and write a report")
    run.add_argument("--run-dir", metavar="D", default=RUN_DIR, help=f"folder for the results (default {RUN_DIR})")
    run.add_argument("--model", metavar="M", help="reader, smollm2, a Hugging Face model id or a local folder")
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
    run.add_argument("--fresh", action="store_true", help="keep nothing of an earlier run in this folder")
    run.add_argument("--notebooks", metavar="D", help="folder of the notebooks (default: the package's own)")


def _run(options: argparse.Namespace) -> None:
    from workbench.artifacts.steps import run_folder
    from workbench.hands.headless.chain import run_chain  # the imports take a second; `version` and `--help` do without
    from workbench.hands.headless.kernel import ENDS_WITH, end_with
    from workbench.hands.report.write import current_report

    started = time.monotonic()
    if parent := os.environ.pop(ENDS_WITH, None):
        end_with(int(parent))
    run_chain(
        options.run_dir,
        parameters=_parameters(options),
        notebooks=options.notebooks,
        timeout=options.timeout or None,
        fresh=options.fresh,
        tell=tell,
    )
    report = current_report(run_folder(options.run_dir))
    say(f"done in {time.monotonic() - started:.1f} s; the report is {os.path.relpath(report)}")


def _parameters(options: argparse.Namespace) -> dict[str, Value]:
    from workbench.artifacts.parameters import ParameterError, parse_value

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


def shield_values(argv: Sequence[str]) -> list[str]:
    """Put a blank before a value such as `-1e-3`, which argparse would take for an option; options stay options."""
    shielded = list(argv)
    for index in range(2, len(shielded)):
        value = shielded[index].lstrip(" ")
        if shielded[index - 2] == "-p" and value.startswith("-") and value.partition("=")[0] not in OPTIONS:
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


MOST_PORTS = 65_535
PAGE = Path("app") / "explorer.ipynb"


def add_app(declare: Callable[..., argparse.ArgumentParser]) -> None:
    app = declare("app", _app, "serve the mask explorer of a run as a page")
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


def _app(options: argparse.Namespace) -> None:
    from workbench.artifacts import runs
    from workbench.artifacts.steps import find_notebooks

    folder = typed(options.run_dir).resolve()
    runs.require_stage(folder, "adapter")
    page = find_notebooks(options.notebooks) / PAGE
    if not page.is_file():
        raise FileNotFoundError(f"{page} does not exist; give the folder of the notebooks with --notebooks")
    say("the page asks for a token; the address that is printed and opened holds it. Stop with Ctrl-C.")
    template = str(PACKAGE_FOLDER / "data" / "jupyter")
    os.environ |= {
        runs.PAGE_RUN_DIR: str(folder),
        # where Voila finds the page's template, before what the user has set
        "JUPYTER_PATH": os.pathsep.join(filter(None, [template, os.environ.get("JUPYTER_PATH")])),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    warnings.simplefilter("ignore", DeprecationWarning)  # Voila's own
    from voila.app import Voila  # here: `own_process` has kept from it a grammar that it never asks

    Voila.launch_instance(_settings(page, options))


def _settings(page: Path, options: argparse.Namespace) -> list[str]:
    settings = {
        "Voila.ip": "127.0.0.1",
        "Voila.port": options.port,
        "Voila.open_browser": not options.no_browser,
        "Voila.auto_token": True,
        "VoilaConfiguration.template": "explorer",
        "VoilaConfiguration.allow_template_override": "NO",
        "VoilaConfiguration.allow_theme_override": "NO",
        "VoilaConfiguration.theme": "dark" if options.dark else "light",
        "VoilaConfiguration.strip_sources": True,
        "VoilaConfiguration.file_allowlist": "a^",  # matches no file; `[]` is deprecated there
    }
    return [str(page), *(f"--{name}={value}" for name, value in settings.items())]


OWN = {"seconds": "gpu", "parts": "gpu", "model": "cited", "records": "cited", "n": "cited"}
"""Option -> the one benchmark that takes it."""


def add_bench(declare: Callable[..., argparse.ArgumentParser]) -> None:
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
    figures = measure(options.name, run_dir=run_dir, quick=options.quick, seed=options.seed, say=say, **own)
    atomic_write_json(file, figures)
    show(figures["table"], title=options.name)
    say(f"done in {figures['seconds']:.0f} s; the figures are in {os.path.relpath(file)}")


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
