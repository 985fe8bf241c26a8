"""A file from the package index, through pip: as it is configured for this machine, checked, all of it or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workbench.artifacts.files import sha256_file

TRIES = 3  # pip tries connections again by itself; this is for what it takes for whole
HOPELESS = ("No matching distribution", "No module named pip", "No space left", "Permission denied")
POLL_SECONDS = 0.5

Say = Callable[[str], object]


class WheelError(Exception):
    """A wheel that cannot be had; the text is a part of a sentence, without what to do."""


def fetch_wheel(requirement: str, *, sha256: str, size: int, into: Path, say: Say) -> Path:
    """The wheel of a requirement such as `name==1.0`, alone, in the folder `into`, which holds nothing else.

    size: bytes that are expected, for `say`, which takes lines of progress. WheelError: pip fails, or what it brings is
    another file.
    """
    fault = ""
    for attempt in range(1, TRIES + 1):
        again = f", attempt {attempt} of {TRIES}" if fault else ""
        note = lambda: say(f"fetching {requirement}{again}: {_size(into) / 1e6:.0f} of {size / 1e6:.0f} MB")  # noqa: B023, E731
        fault = _pip(requirement, into, note, cached=attempt == 1)
        wheels = sorted(into.glob("*.whl"))
        if not fault and len(wheels) == 1:
            if (found := sha256_file(wheels[0])) == sha256:
                return wheels[0]
            fault = f"what pip brings has the SHA-256 {found[:12]}..., not {sha256[:12]}...: a cut or another file"
        for wheel in wheels:
            wheel.unlink()
        if any(word in fault for word in HOPELESS):
            break
    raise WheelError(fault or "pip brings no wheel")


def _pip(requirement: str, into: Path, note: Callable[[], object], *, cached: bool) -> str:
    """Lets pip download; says what went wrong, nothing when all went well."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(into)]
    command += [] if cached else ["--no-cache-dir"]
    environment = os.environ | {"TMPDIR": str(into)}  # a part of a file lies where it is cleared away, and is counted
    with subprocess.Popen(
        [*command, requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        try:
            while True:
                note()
                try:
                    said = process.communicate(timeout=POLL_SECONDS)[0]
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            raise
    return "" if process.returncode == 0 else _fault(said)


def _fault(said: str) -> str:
    """The first error in what pip said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    fault = "; ".join(errors[:2]) if errors else (lines or ["pip ended without a word"])[-1]
    silent = " (the package index does not answer)" if "Retrying (" in said else ""
    return f"{fault[:400]}{silent}"


def _size(folder: Path) -> int:
    """Bytes of the largest file in a folder that another process writes to."""
    largest = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone in between
            largest = max(largest, path.stat().st_size)
    return largest
