"""Files that are either whole or absent, and digests that name their contents; places that can be written to."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, Any

from workbench.artifacts.checks import is_text

DATA = Path(__file__).parent.parent / "data"  # that ships with the package
MANIFEST = "manifest.json"
WORK_FOLDER = "checkpoints"  # what a stage needs to go on after a stop; no part of its result
TORN = re.compile(r"\.[0-9a-f]+\.tmp")  # names that a write cut off in the midst leaves
STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name in the same folder; on success it takes the place of `path`, on an error it is removed.

    For writers that want a file name (safetensors, parquet). Readers see the old file or the new one, never a part.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def open_itself(path: str | os.PathLike[str], mode: str) -> IO[Any]:
    """`open`, for files that stay and are written to in place. ValueError: a link lies there; see `refuse_link`."""
    refuse_link(path)
    how = {} if "b" in mode else {"encoding": "utf-8"}

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, mode, opener=opener, **how)  # type: ignore[call-overload]


def refuse_link(path: str | os.PathLike[str]) -> None:
    """ValueError: the path is a link, by which what is written would go elsewhere."""
    if Path(path).is_symlink():
        raise ValueError(f"{path} is a link to {os.path.realpath(path)}, and nothing is written there; remove the link")


def atomic_write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes to `path` in one step and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write text as UTF-8, line ends as they are, in one step and return the path."""
    return atomic_write_bytes(path, text.encode("utf-8"))


def atomic_write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write `value` as indented JSON in one step; see `plain` for what is accepted and for the errors."""
    document = plain(value, where=Path(path).name)
    return atomic_write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any, *, where: str) -> Any:
    """Return `value` made of dict, list, str, int, float, bool and None only, ready for JSON.

    Accepts numpy and torch scalars and arrays (by their `tolist`), dataclasses, paths, tuples. `where` names the value
    in errors, as in `metrics.tuned_exact_30`.

    Raises:
        ValueError: a number is NaN or infinite; JSON has neither, and a result that is not a number is a defect.
        TypeError: a value or a key has no place in JSON.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; only finite numbers can be recorded. Find where it became {value}.")
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value), where=where)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, where=f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "tolist"):
        return plain(value.tolist(), where=where)
    raise TypeError(
        f"{where} is a {type(value).__name__}; JSON holds numbers, text, true/false, null, lists and dicts."
    )


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none that can be read."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def tsv_rows(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a table of cells parted by tabs, with a header. Errors as of `open`."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def untimed(value: Any) -> Any:
    """`value` without the entries called `seconds`, at any depth of dicts and lists: equal results are equal files."""
    if isinstance(value, Mapping):
        return {key: untimed(item) for key, item in value.items() if key != "seconds"}
    return [untimed(item) for item in value] if isinstance(value, list | tuple) else value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"{where} has the key {key!r} ({type(key).__name__}); keys must be text or whole numbers.")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def altered(
    made: Mapping[str, str], there: Mapping[str, Path], *, digest: Callable[[Path], str] = sha256_file
) -> list[str]:
    """What became of files that were made, a sentence about each that is gone or was changed.

    made: name -> SHA-256. there: name -> path, as `folder_files` gives them. `digest` gives the SHA-256 of a file.
    """
    said = []
    for name, due in made.items():
        if name not in there:
            said.append(f"{name} is gone")
        elif digest(there[name]) != due:
            said.append(f"{name} was changed")
    return said


def folder_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The files that make up a folder's content: relative name with `/` -> path, in the order of the names.

    Left out: names that start with a dot, `__pycache__`, and at the top the manifest and the `checkpoints` folder.
    The manifest holds times and machine names: with it inside, no two runs would have the same digest.
    """
    root = Path(folder)
    found: dict[str, Path] = {}
    for here, folders, names in os.walk(root):
        top = Path(here) == root
        hidden = {"__pycache__", WORK_FOLDER} if top else {"__pycache__"}
        folders[:] = [name for name in folders if not name.startswith(".") and name not in hidden]
        for name in names:
            path = Path(here, name)
            # a pipe or a device has no content to be read to its end
            if not name.startswith(".") and not (top and name == MANIFEST) and path.is_file():
                found[path.relative_to(root).as_posix()] = path
    return dict(sorted(found.items()))


def digest_folder(
    folder: str | os.PathLike[str], *, only: Collection[str] | None = None, digest: Callable[[Path], str] = sha256_file
) -> str:
    """SHA-256 over the names and contents of `folder_files`; where the folder lies and when it was made do not count.

    `only` limits it to these relative names; names that are not there are passed over. `digest` gives that of a file.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise NotADirectoryError(f"{folder} is not a folder, so it has no digest")
    files = {name: path for name, path in folder_files(folder).items() if only is None or name in only}
    lines = (f"{digest(path)}  {json.dumps(name)}\n" for name, path in files.items())
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


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


def typed(path: str) -> Path:
    """The path, `~` and `~user` in it expanded. ValueError: there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path!r} cannot be found: {error}; write the path out") from error


def neutral(text: str) -> str:
    """A text as a spreadsheet's cell: what it would take for a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip(" ").startswith(STARTS_FORMULA) else text
