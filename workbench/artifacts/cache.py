"""The user's cache, for models that are fetched once: the only folder outside a run folder that is written to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.artifacts.files import altered, atomic_write_json, folder_files, read_object, sha256_file
from workbench.artifacts.provenance import cache_folder, remembered_digest

DIGESTS = "digests.json"  # relative name -> SHA-256 of every file of a folder; written last

Say = Callable[[str], object]


def folder_of(name: str) -> Path:
    """Where the cache keeps what is called `name`, whether it is there or not."""
    return cache_folder() / "models" / name


def make_once(name: str, make: Callable[[Path, Path], object], *, say: Say) -> Path:
    """The folder of `name`, made where it is not there or no longer what it was.

    Of several processes that ask at once one makes it and the others wait. What stops midway leaves nothing.

    Args:
        make: called with an empty folder to work in, which goes when it is done, and the folder to fill.
        say: takes a line at a time.

    Raises:
        OSError: the cache cannot be written. Whatever `make` raises.
    """
    place = folder_of(name)
    if is_whole(place):
        return place
    with held(name, say=lambda: say(f"{name}: another process makes it; waiting")):
        if is_whole(place):
            return place
        with _work_folder(place) as work:
            made = work / "made"
            made.mkdir()
            make(work, made)
            atomic_write_json(made / DIGESTS, {file: sha256_file(path) for file, path in folder_files(made).items()})
            if place.exists():
                os.replace(place, work / "damaged")
            os.replace(made, place)
    return place


@contextmanager
def held(name: str, *, say: Callable[[], object]) -> Iterator[None]:
    """Nobody else makes or empties `name` during the block. say: called when another process holds it, to wait."""
    place = folder_of(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f".{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _work_folder(place: Path) -> Iterator[Path]:
    """An empty folder beside `place`, gone afterwards; one that a killed process left goes too. Held by `held`."""
    work = place.with_name(f".{place.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def is_whole(place: Path) -> bool:
    """Whether a folder of the cache holds what was made, byte for byte."""
    return place.is_dir() and not changes(place, digest=remembered_digest)


def changes(place: Path, *, digest: Callable[[Path], str] = sha256_file) -> list[str]:
    """What differs from what was made, a sentence each; each file is read once."""
    made, there = read_object(place / DIGESTS), folder_files(place)
    if not made:
        return [f"{DIGESTS} cannot be read"]
    odd = there.keys() - made.keys() - {DIGESTS}
    return altered(made, there, digest=digest) + [f"{file} is not of it" for file in sorted(odd)]


def empty(name: str, *, say: Callable[[], object]) -> int:
    """Takes `name` out of the cache and returns the bytes that this sets free. OSError: it cannot be removed."""
    place = folder_of(name)
    if not place.exists():
        return 0
    size = size_of(place)
    with held(name, say=say), _work_folder(place) as work:
        os.replace(place, work / "emptied")  # gone at once, for whoever looks
    return size


def size_of(place: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
