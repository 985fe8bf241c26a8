"""`bench spectra`: adapters shaped as for an 8B model, of random values: seconds and memory of a fresh process."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from workbench import models, shift
from workbench.bench import Say, apart, peak_mib
from workbench.models.adapter_folder import CONFIG, WEIGHTS
from workbench.models.lora import LoraConfig

RANKS = (16, 64)
MODULES = ("q_proj", "v_proj")
TABLE = (
    "what", "rank", "mb", "rows", "seconds", "in_all", "mib_idle", "mib_peak", "error",
)  # fmt: skip


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """`table`: one row a measurement. run_dir: not read, the adapters are made here. quick: 4 layers of 32, rank 16."""
    rng, rows = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as place:
        for rank in RANKS[:1] if quick else RANKS:
            folders = [Path(place, f"{rank}-{name}") for name in "ab"]
            for folder in folders:
                write_adapter(folder, rank=rank, layers=4 if quick else None, rng=rng)
            worst = largest_error(folders[0])
            for what, given in (("spectra", folders[:1]), ("compare", folders)):
                say(f"{what} of rank {rank}")
                error = worst if what == "spectra" else None
                rows.append(dict.fromkeys(TABLE) | {"what": what, "rank": rank, "error": error})
                rows[-1].update(measured(what, *given))
    return {"table": rows}


def write_adapter(folder: Path, *, rank: int, layers: int | None = None, rng: np.random.Generator) -> None:
    """A PEFT LoRA folder on q and v of every layer of DeepSeek-R1-Distill-Llama-8B (or of `layers`), float32 values."""
    config = models.deepseek_8b_config()
    head = config.hidden_size // config.num_attention_heads
    outs = {"q_proj": config.hidden_size, "v_proj": head * config.num_key_value_heads}
    tensors = {}
    for layer in range(layers or config.num_hidden_layers):
        for name, out in outs.items():
            stem = f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_"
            for factor, shape in (("A", (rank, config.hidden_size)), ("B", (out, rank))):
                tensors[f"{stem}{factor}.weight"] = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS)
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(MODULES)).to_dict()
    text = json.dumps(settings | {"target_modules": list(MODULES)}, default=str)
    (folder / CONFIG).write_text(text, encoding="utf-8")


def measured(what: str, *folders: Path) -> dict:
    """`timed` in a process of its own, whose peak memory is its own too; `mb`: megabytes of the adapters' files,
    `in_all`: seconds with the start of the process."""
    started = time.perf_counter()
    found = apart(timed, what, *map(str, folders))
    size = sum((folder / WEIGHTS).stat().st_size for folder in folders) / 1e6
    return {"mb": size, **found, "in_all": time.perf_counter() - started}


def timed(what: str, *folders: str) -> dict:
    """Rows, seconds and peak memory (MiB) of `spectra` or `compare`; `mib_idle`: before it, packages loaded."""
    work: dict[str, Callable[[], pd.DataFrame]] = {
        "spectra": lambda: shift.spectra(folders[0], more=True),
        "compare": lambda: shift.compare(dict(zip("ab", folders, strict=True)), rng=np.random.default_rng(0)),
    }
    before, started = peak_mib(), time.perf_counter()
    table = work[what]()
    seconds = time.perf_counter() - started
    return {"rows": len(table), "seconds": seconds, "mib_idle": before, "mib_peak": peak_mib()}


def largest_error(folder: Path) -> float:
    """Largest relative error of a v_proj's singular values against the dense product in float64."""
    factors = next(one for one in shift.read_factors(folder) if one.projection == "v_proj")
    # the smaller Gram matrix would lose half the digits, so the product itself is decomposed
    expected = np.linalg.svd(factors.scaling * factors.B @ factors.A, compute_uv=False)[: factors.rank]
    return float(np.max(np.abs(shift.singular_values(factors) / expected - 1)))
