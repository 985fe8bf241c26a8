"""`workbench models`: the named models of this machine and the shipped adapters; check, fetch, empty."""

from __future__ import annotations

import argparse

from workbench.cli.exit import DIFFERENT, DONE
from workbench.cli.screen import result, say, tell

ACTIONS = ("list", "check", "fetch", "empty")


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    models = commands.add_parser("models", parents=[common], help="list, check, fetch or remove the named models")
    models.set_defaults(command=_models)
    models.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=ACTIONS,
        default="list",
        help="list: what is there, with sizes (default); check: every digest, code 1 when one differs; "
        "fetch: smollm2 into the user's cache; empty: take out of the cache what was fetched",
    )


def _models(options: argparse.Namespace) -> int:
    return {"list": _list, "check": _check, "fetch": _fetch, "empty": _empty}[options.action]()


def _list() -> int:
    from workbench.artifacts import cache
    from workbench.models import reader
    from workbench.models.shipped_adapters import ADAPTERS, shipped
    from workbench.models.smollm2 import NAME

    fetched = cache.folder_of(NAME)
    places = [("reader", "model", reader.folder()), (NAME, "model", fetched)]
    places += [(f"{NAME}, {name}", "adapter", shipped(name)) for name in ADAPTERS]
    for name, kind, place in places:
        state = "not fetched" if not place.is_dir() else "in the cache" if place == fetched else "in the package"
        result(f"{name}: {kind}, {state}, {cache.size_of(place) / 1e6:.1f} MB, {place}")
    return DONE


def _check() -> int:
    from workbench.artifacts import cache
    from workbench.artifacts.files import sha256_file
    from workbench.models.shipped_adapters import ADAPTERS, card, shipped
    from workbench.models.smollm2 import NAME

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


def _fetch() -> int:
    from workbench.headless.watch import Event
    from workbench.models.smollm2 import NAME, ready

    result(f"{NAME} lies in {ready(lambda line: tell(Event('progress', line)))}")
    return DONE


def _empty() -> int:
    from workbench.artifacts import cache
    from workbench.models.smollm2 import NAME

    freed = cache.empty(NAME, say=lambda: say(f"{NAME}: another process makes it; waiting"))
    result(f"{freed / 1e6:.1f} MB were set free in {cache.folder_of(NAME).parent}")
    return DONE
