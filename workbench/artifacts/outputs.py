"""Before anything is written: files that have a place to go to, and that are not what is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from workbench.artifacts.parameter import is_text

Place = str | os.PathLike[str]


def check_place(name: str, file: Place) -> None:
    """ValueError when a file cannot be written because its folder is missing or it is a folder itself."""
    if not Path(file).parent.is_dir():
        raise ValueError(f"{name} {file}: the folder {str(Path(file).parent)!r} does not exist; create it first")
    if Path(file).is_dir():
        raise ValueError(f"{name} {file}: this is a folder; give the name of a file")


def check_outputs(outputs: Mapping[str, Place | None], *, reads: Iterable[Place] = ()) -> None:
    """Refuses outputs that would destroy what is read, or one another; links are followed.

    outputs: what the user calls it, such as `--out` -> file or folder; None where none is asked for.
    reads: files and folders, each read as a whole.

    Raises:
        ValueError: an output is an input, lies in one or holds one, or is another output as well.
    """
    places = {name: file for name, file in outputs.items() if file is not None}
    inputs, names = list(reads), list(places)
    for name, file in places.items():
        if not is_text(text := os.fspath(file)) or "\0" in text:
            raise ValueError(f"{name} {text!a} is no name that a file can have")
    for number, name in enumerate(names):
        for other in names[:number]:
            if _is_same(places[name], places[other]):
                raise ValueError(f"{name} {places[name]} is the file of {other} too; give each a name of its own")
        for one in inputs:
            if _is_same(places[name], one) or is_inside(places[name], one) or is_inside(one, places[name]):
                raise ValueError(f"{name} {places[name]} would overwrite {one}, which is read; give another place")


def _is_same(one: Place, other: Place) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)  # hard links too, and names that differ in case where that does not count
    return os.path.realpath(one) == os.path.realpath(other)


def is_inside(one: Place, folder: Place) -> bool:
    """Whether a path lies in a folder, at any depth, links followed."""
    return Path(folder).is_dir() and Path(os.path.realpath(folder)) in Path(os.path.realpath(one)).parents
