"""The card itself, and the model that is made on it."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

import numpy as np
import torch

from workbench import models
from workbench.artifacts.provenance import package_versions
from workbench.bench.gpu.shared import Bench, Row, Steps
from workbench.bench.gpu.subject import Subject, random_lm, tiny_config
from workbench.game import Engine


def card(bench: Bench) -> Steps:
    """The device, and what it does by itself: a bf16 matrix product of random data, a copy of its memory."""
    yield "device", partial(described, bench)
    yield "bf16 product", partial(product, bench)
    yield "memory copy", partial(copy, bench)


def described(bench: Bench) -> Row:
    """Name, memory, driver, versions."""
    gpu = torch.cuda.get_device_properties(bench.device) if bench.device.type == "cuda" else None
    asked = ("nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader")
    said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout if shutil.which(asked[0]) else ""
    return {
        "name": gpu.name if gpu else "processor",
        "memory_gib": gpu.total_memory / 2**30 if gpu else None,
        "driver_clock_power": said.strip(),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "versions": package_versions(),
    }


def product(bench: Bench) -> Row:
    """The rate that shares are told of."""
    side, count = bench.size.side, bench.size.products
    a, b = (torch.randn(side, side, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    spent = bench.clock.timed(lambda: [torch.mm(a, b, out=out) for _ in range(count)])
    bench.rate = 2 * side**3 * count / spent["seconds"]
    return {"side": side, "products": count, **spent, "rate": bench.rate / 1e12, "unit": "TFLOP/s"}


def copy(bench: Bench) -> Row:
    """Bytes a second, read and written."""
    source = torch.empty(bench.size.copied, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    spent = bench.clock.timed(lambda: [target.copy_(source) for _ in range(10)])
    moved = 20 * bench.size.copied
    return {"bytes": moved, **spent, "rate": moved / spent["seconds"] / 1e12, "unit": "TB/s"}


def model(bench: Bench) -> Steps:
    """The 8B model with a random adapter."""
    yield "made", partial(made, bench)


def made(bench: Bench) -> Row:
    """Seconds of making it, and what it is."""
    config = tiny_config() if bench.quick else models.deepseek_8b_config()
    world, folder = bench.world, bench.folder / "8b"

    def make() -> None:
        lm = random_lm(config, world.names, name="random-8b", folder=folder, seed=bench.seed)
        bench.subject = Subject.of(lm, world, facts=bench.size.facts)
        bench.subject.adapt(seed=bench.seed)

    bench.clock.forget_peak()
    seconds = bench.clock.seconds(make)
    prompts, answer, _ = bench.asked(np.ones((1, len(bench.model.case.facts)), bool))
    shape = {"prompt_tokens": len(prompts[0].ids), "answer_tokens": len(answer), "facts": len(bench.model.case.facts)}
    sizes = {"parameters": bench.model.parameters, "matrices": bench.model.matrices}
    default = {"default_batch_tokens": Engine(bench.model.lm).batch_tokens, "threads": torch.get_num_threads()}
    return {"seconds": seconds, "n": 1, **bench.clock.memory(), **shape, **sizes, **default}
