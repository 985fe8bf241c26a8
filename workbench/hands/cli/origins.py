"""`workbench show|verify|diff|models`: where results come from, whether they still match, how two runs differ; the
named models and shipped adapters of this machine."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from workbench.artifacts.files import check_outputs, check_place
from workbench.artifacts.start import this_command
from workbench.hands.cli.output import DIFFERENT, DONE, answer, draw, printable, result, say, tell

LONGEST = 140  # characters of a line
HEAD = ("finished", "seconds", "seed", "device", "python", "platform")
TITLES = {"parameters": "parameters", "made_from": "made from", "files": "files"}
MOST = 20  # files and metrics that `show` lists; --json has all
MOST_METRICS = 40  # rows of a stage that `diff` lists; --json has all


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    def declared(name: str, run: Callable, text: str, *folders: str) -> argparse.ArgumentParser:
        command = declare(name, run, text)
        for folder in folders:
            command.add_argument(folder, metavar="RUN", help="folder of a run")
        command.add_argument("--json", action="store_true", help="as JSON, with everything that is recorded")
        return command

    show = declared("show", _show, "print where the results of a run come from", "run")
    show.add_argument("--stage", metavar="S", help="one stage only: kg, adapter, explain or shift, or log")
    declared("verify", _verify, "recompute the digests of a run; code 1: some differ", "run")
    diff = declared("diff", _diff, "say what differs between two runs; code 1: something", "first", "second")
    diff.add_argument("--html", metavar="FILE", help="both runs side by side as a page: what each found, what differs")


def _show(options: argparse.Namespace) -> None:
    from workbench.artifacts.stage import stage_folder
    from workbench.artifacts.steps import run_folder
    from workbench.hands.report.lineage import lineage

    run = run_folder(options.run)
    if options.stage is not None:
        stage_folder(run, options.stage)
    told = lineage(run)
    if options.stage is not None:
        told["stages"] = {options.stage: told["stages"].get(options.stage)}
    if options.json:
        answer(told)
    else:
        draw(_tree(told))


def _tree(told: Mapping[str, Any]) -> Any:
    from rich.tree import Tree

    root = Tree(text(told["run"], "bold"))
    for stage, recorded in told["stages"].items():
        if recorded is None:
            root.add(text(f"{stage}: not made, or not to its end", "red"))
            continue
        branch = root.add(text(f"{stage}, by {recorded['notebook']}", "bold"))
        for title, lines in _parts(recorded):
            leaf = branch.add(text(title, "cyan"))
            for line in lines:
                leaf.add(text(line))
    return root


def _parts(recorded: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    from workbench.hands.report.lineage import code_line, flat, input_line

    yield "made", [f"{name}: {recorded.get(name)}" for name in HEAD] + _named(recorded.get("machine", {}))
    yield "code", [code_line(recorded)]
    yield "parameters", _named(recorded["parameters"] if recorded["parameters"] is not None else recorded.get("config"))
    yield "inputs", [input_line(name, one) for name, one in recorded["inputs"].items()]
    yield "versions", _named(recorded.get("packages", {}))
    yield "files", [f"{name}  {digest[:16]}" for name, digest in list(recorded["files"].items())[:MOST]]
    metrics = dict(flat(recorded.get("metrics", {}), ""))
    yield f"metrics ({len(metrics)})", _named(dict(list(metrics.items())[:MOST]))


def _named(values: Any) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items()] if isinstance(values, Mapping) else []


def _verify(options: argparse.Namespace) -> int:
    from workbench.artifacts.steps import run_folder
    from workbench.hands.report.lineage import report_state, verify

    run = run_folder(options.run)
    found, report = verify(run), report_state(run)
    sound = report is None and not any(one["broken"] for one in found.values())
    if options.json:
        answer({"run": str(run), "sound": sound, "stages": found, "report": report})
        return DONE if sound else DIFFERENT
    for stage, one in found.items():
        draw(text(f"{stage}: {'no longer matches' if one['broken'] else 'as it was made'}"))
        for line in one["broken"]:
            draw(text(f"  {line}", "red"))
        for line in one["notes"]:
            draw(text(f"  note: {line}"))
    draw(text(f"report: {report or 'as it was made'}", "red" if report else ""))
    if not sound:
        words = "explain LOG --model M --out" if "log" in found else "run --run-dir"
        again = f"{this_command()} {words} {shlex.quote(str(run))}"
        draw(text(f"To make again what no longer matches: {again}"))
    return DONE if sound else DIFFERENT


def _diff(options: argparse.Namespace) -> int:
    from workbench.artifacts.stage import stages
    from workbench.artifacts.steps import run_folder
    from workbench.hands.report.lineage import compare

    first, second = run_folder(options.first), run_folder(options.second)
    if options.html:
        check_place("--html", options.html)
        check_outputs({"--html": options.html}, reads=[one / stage for one in (first, second) for stage in stages(one)])
    found = compare(first, second)
    if options.html:
        from workbench.hands.report.write import write_beside  # loads what cleans HTML

        write_beside(first, second, options.html)
    same = not any(one[part] for one in found.values() for part in ("parameters", "files", "metrics"))
    if options.json:
        answer({"first": str(first), "second": str(second), "same": same, "stages": found})
        return DONE if same else DIFFERENT
    for stage, one in found.items():
        draw(text(f"{stage}: {'differs' if any(one.values()) else 'the same'}", "bold"))
        for part, title in TITLES.items():
            for line in one[part]:
                draw(text(f"  {title}: {line}"))
        if one["metrics"]:
            draw(_table(one["metrics"], title=f"metrics of {stage}"))
    return DONE if same else DIFFERENT


def _table(rows: Sequence[Mapping[str, Any]], *, title: str) -> Any:
    from rich.table import Table

    head = ("metric", "first", "second", "difference", "relative")
    caption = f"{len(rows) - MOST_METRICS} more; --json has all" if len(rows) > MOST_METRICS else None
    table = Table(*head, title=title, caption=caption)
    for row in rows[:MOST_METRICS]:
        relative = "" if row["relative"] is None else f"{row['relative']:+.2%}"
        numbers = [_shown(row[name]) for name in ("first", "second", "difference")]
        table.add_row(*map(text, (row["name"], *numbers, relative)))
    return table


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def text(line: str, style: str = "") -> Any:
    """A line of the screen: what is recorded is data, never markup or a command to the terminal."""
    from rich.text import Text

    shown = printable(line)
    return Text(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}...", style=style)


def add_models(declare: Callable[..., argparse.ArgumentParser]) -> None:
    models = declare(
        "models", lambda options: ACTIONS[options.action](), "list, check, fetch or remove the named models"
    )
    models.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=list(ACTIONS),
        default="list",
        help="list: what is there, with sizes (default); check: every digest, code 1 when one differs; "
        "fetch: smollm2 into the user's cache; empty: take out of the cache what was fetched",
    )


def _list() -> None:
    from workbench.artifacts import cache
    from workbench.models import reader
    from workbench.models.smollm2 import ADAPTERS, NAME, shipped

    fetched = cache.folder_of(NAME)
    places = [("reader", "model", reader.folder()), (NAME, "model", fetched)]
    places += [(f"{NAME}, {name}", "adapter", shipped(name)) for name in ADAPTERS]
    for name, kind, place in places:
        state = "not fetched" if not place.is_dir() else "in the cache" if place == fetched else "in the package"
        result(f"{name}: {kind}, {state}, {cache.size_of(place) / 1e6:.1f} MB, {place}")


def _check() -> int:
    from workbench.artifacts import cache
    from workbench.artifacts.files import sha256_file
    from workbench.models.smollm2 import ADAPTERS, NAME, card, shipped

    faults: dict[str, list[str]] = {}
    if cache.folder_of(NAME).is_dir():
        faults[NAME] = cache.changes(cache.folder_of(NAME))
    for folder in map(shipped, ADAPTERS):
        due = card(folder).get("sha256", {})
        changed = [file for file in due if not (folder / file).is_file() or sha256_file(folder / file) != due[file]]
        faults[f"{NAME}, {folder.name}"] = [f"{file} was changed" for file in changed] or [] if due else ["no card"]
    for name, said in faults.items():
        result(f"{name}: {'; '.join(said) or 'as it was made'}")
    return DIFFERENT if any(faults.values()) else DONE


def _fetch() -> None:
    from workbench.hands.headless.watch import Event
    from workbench.models.smollm2 import NAME, ready

    result(f"{NAME} lies in {ready(lambda line: tell(Event('progress', line)))}")


def _empty() -> None:
    from workbench.artifacts import cache
    from workbench.models.smollm2 import NAME

    freed = cache.empty(NAME, say=lambda: say(f"{NAME}: another process makes it; waiting"))
    result(f"{freed / 1e6:.1f} MB were set free in {cache.folder_of(NAME).parent}")


ACTIONS: dict[str, Callable[[], int | None]] = {"list": _list, "check": _check, "fetch": _fetch, "empty": _empty}
