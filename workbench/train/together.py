"""One training by several processes, one a GPU: each takes its part of every batch, and their gradients are averaged.

    python -m workbench run --run-dir runs/big -p processes 4           # notebook 2 starts them on this machine
    accelerate launch --multi_gpu --num_processes 4 -m workbench.train runs/big/adapter.new

The second form goes on by hand with a training that the first has begun, from its last checkpoint. With accelerate's
`--num_machines`, `--machine_rank` and `--main_process_ip` it reaches over machines that share the folder; given again,
the `run` command finds the work done and goes on behind it. What is trained on what stands in `adapter.new/training/`;
`adapter.new` is what the folder is called until it is finished. Without a GPU, processes share the processor
(`torchrun --nproc_per_node 2 -m workbench.train runs/big/adapter.new`).

A batch has as many cases as with one process, so it must be divisible. Rows, order, loss and steps are those of one
process too; sums are taken in another order, so the last digits of the weights differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from workbench import models
from workbench.artifacts.files import atomic_write_json
from workbench.cases import load_cases, save_cases
from workbench.lifeline import end_with_parent
from workbench.train.config import TrainConfig
from workbench.train.progress import Progress
from workbench.train.world import is_main, world

if TYPE_CHECKING:
    from workbench.train.qlora import Training

FOLDER = "training"  # what the processes read; it goes when the training is done
WATCHED = "--end-with-parent"  # their stdin closes when the process that started them is gone
LAST_LINES = 12  # of what failed processes said
STOP_SECONDS = 30.0  # that processes have to end


def check(processes: int, config: TrainConfig) -> None:
    """ValueError: so many processes cannot train this."""
    if processes < 1 or config.batch % processes:
        raise ValueError(
            f"processes must be 1 or more and divide the batch of {config.batch} cases evenly, not {processes!r}"
        )
    if processes > 1 and config.seconds is not None:
        raise ValueError(f"seconds must be None where {processes} processes train together: their clocks differ")


def check_gpus(processes: int) -> None:
    """ValueError: this machine has fewer GPUs than processes are to be started. Without any, the processor trains."""
    if torch.cuda.is_available() and processes > torch.cuda.device_count():
        raise ValueError(f"processes must be at most the {torch.cuda.device_count()} GPUs here, not {processes!r}")


def launch(job: Training, parts: int) -> None:
    """Trains in new processes, which leave their checkpoints in the job's folder; it hears of every logged row.

    parts: of a process's share of a batch that follow one another in a step.
    RuntimeError: one of them failed, with its own words; checkpoints stay, and the same call goes on from the last.
    torch.OutOfMemoryError: its memory ran out. They end when this process is interrupted, or gone.
    """
    write_order(job, parts)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={job.processes}"]
    threads = str(max(1, (os.cpu_count() or 1) // job.processes))
    environment = {"OMP_NUM_THREADS": threads} | os.environ
    process = subprocess.Popen(
        [*command, "-m", "workbench.train", str(job.folder.resolve()), WATCHED],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        words, short = _heard(process, job.hear)
        if process.wait():
            kind = torch.OutOfMemoryError if short else RuntimeError
            raise kind(f"training by {job.processes} processes failed: {words}")
    finally:
        _stop(process)


def _heard(process: subprocess.Popen, show: Callable[[Progress], None]) -> tuple[str, bool]:
    """Hands on the progress that the processes tell, until they end; what went wrong, or their last lines, and whether
    memory ran out."""
    last, error, short = deque[str](maxlen=LAST_LINES), "", False
    assert process.stdout is not None
    for line in process.stdout:
        told = _message(line)
        if "progress" in told:
            show(Progress(**told["progress"]))
        error, short = error or str(told.get("error", "")), short or bool(told.get("out_of_memory"))
        if not told and line.strip():
            last.append(line.strip())
    return error or " | ".join(last), short


def _message(line: str) -> dict[str, Any]:
    """What a line of output tells, if it was meant to be read by a program."""
    try:
        found = json.loads(line) if line.startswith('{"') else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def write_order(job: Training, parts: int) -> None:
    """What the processes need to know, as JSON in `training/` of the job's folder."""
    place, lm = job.folder / FOLDER, job.lm
    place.mkdir(parents=True, exist_ok=True)
    save_cases(place / "cases.jsonl", job.cases)
    save_cases(place / "held_out.jsonl", job.held_out)
    order = {
        "model": str(Path(lm.name).resolve()) if Path(lm.name).is_dir() and lm.name != models.READER else lm.name,
        "four_bit": getattr(models.base_of(lm.model).config, "quantization_config", None) is not None,
        "names": dict(lm.names),
        "config": job.config.to_dict(),
        "parts": parts,
    }
    atomic_write_json(place / "order.json", order)


def take_part(folder: Path, *, watched: bool) -> None:
    """What one of the processes does: the training that `write_order` described. watched: end when stdin closes."""
    from workbench.train.qlora import Training

    if watched:
        end_with_parent()
    place = folder / FOLDER
    order = json.loads((place / "order.json").read_text(encoding="utf-8"))
    config = TrainConfig(**order["config"] | {name: tuple(order["config"][name]) for name in ("modules", "shares")})
    check(world(), config)
    lm = models.load(order["model"], names=order["names"], four_bit=order["four_bit"])
    cases, held_out = (load_cases(place / f"{name}.jsonl") for name in ("cases", "held_out"))
    show = tell if is_main() else None
    Training(lm, cases, config, folder, held_out=held_out, show=show).done(order["parts"])


def tell(progress: Progress) -> None:
    """A line of JSON for the process that listens."""
    print(json.dumps({"progress": asdict(progress)}), flush=True)
