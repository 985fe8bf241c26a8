"""Right answers again: `bench precision` rounds the base, `bench card` asks the shipped adapters.

A second rounding is a change of the base's weights like the adapter's own, but without aim. How large is it beside the
update, and how many answers does it turn? People ask for both (peft issues 1043 and 2321).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench import Run, kg, models
from workbench.cases import Case, load_cases, mixed, toolchain
from workbench.game import Engine
from workbench.hands.bench import Say
from workbench.models import LanguageModel
from workbench.models.adapter_folder import AdapterFolder
from workbench.models.smollm2 import ADAPTERS, card, shipped
from workbench.shift import frobenius_norm, singular_values
from workbench.shift.base import rounded_to_nf4
from workbench.stats import proportion
from workbench.train.scores import score

CASES, QUICK = 60, 8  # for every share of withheld facts
SHARES = (0.0, 0.3)
OWN = "fp32"


def int8(weight: torch.Tensor) -> torch.Tensor:
    """A matrix (out, in) after rounding to 8 bits and back, by the largest absolute value of each row: what LLM.int8()
    keeps of weights (Dettmers et al. 2022, arXiv 2208.07339)."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return torch.where(scale > 0, (weight / scale).round() * scale, weight)


ROUNDINGS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {"int8": int8, "NF4": rounded_to_nf4}


def precision(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """`table`: one row a precision of the base and share of withheld facts, with medians over the modules; `modules`:
    of every module the sizes of update and rounding. Held-out cases of the run, `mixed`."""
    held = Run(run_dir)
    cases = mixed(held.cases["held_out"])[: QUICK if quick else CASES]
    return measure(held.model, held.adapter, cases, names=held.names, seed=seed, say=say)


def measure(
    model: str, adapter: Path, cases: Sequence[Case], *, names: Mapping[str, str], seed: int, say: Say
) -> dict[str, Any]:
    """The figures of one adapter. Per row of `table`: `exact`, shares of exact answers, and `kept`, of answers with the
    toolchain that the adapter gives on the base's own values, each with low and high (Wilson) and n; `error_over_base`
    and `error_over_update`, medians over the modules of ||round(W0) - W0||_F over ||W0||_F and over ||sBA||_F."""
    own: dict[float, list[tuple[str, ...]]] = {}
    modules = sizes(models.load(model, names=names, four_bit=False), adapter)
    medians = modules.drop(columns=["module", "layer", "projection"]).median()
    rows = []
    for precision in (OWN, *ROUNDINGS):
        engine = Engine(loaded(model, adapter, precision, names=names))
        for share in SHARES:
            say(f"{precision}: {share:.0%} withheld")
            started = time.perf_counter()
            answers = score(engine, cases, share=share, adapter=True, edges=set(), seed=seed)
            chains = [toolchain(answer["answer"]) for answer in answers]
            kept = [one == two for one, two in zip(chains, own.setdefault(share, chains), strict=True)]
            row: dict[str, Any] = {"base": precision, "withheld": share}
            for name, values in {"exact": [answer["exact"] for answer in answers], "kept": kept}.items():
                found = proportion(values)
                row |= {name: found.share, f"{name} low": found.low, f"{name} high": found.high}
            parts = {f"error_over_{of}": medians.get(f"{precision}_over_{of}", 0.0) for of in ("base", "update")}
            rows.append(row | {"n": len(cases)} | parts | {"seconds": time.perf_counter() - started})
    return {"model": model, "table": rows, "modules": modules.to_dict("records")}


def loaded(model: str, adapter: Path, precision: str, *, names: Mapping[str, str]) -> LanguageModel:
    """The model with the adapter, its base weights at a precision: all matrices but embedding and head, which stay."""
    lm = models.load(model, names=names, four_bit=False)
    head = lm.model.get_output_embeddings()
    for module in lm.model.modules() if precision in ROUNDINGS else ():
        if isinstance(module, torch.nn.Linear) and module is not head:
            module.weight.data = ROUNDINGS[precision](module.weight.data)
    lm.model = models.with_adapter(lm.model, adapter, model, trainable=False).eval()
    return lm


def sizes(lm: LanguageModel, adapter: Path) -> pd.DataFrame:
    """One row a module of the adapter: `module, layer, projection`, `update_over_base`, and for each rounding its error
    over the base's weight and over the update, Frobenius norms. lm: the base at its own values."""
    rows = []
    for one in AdapterFolder.open(adapter):
        weight = lm.model.get_submodule(one.module).weight.detach()
        base, update = float(weight.norm()), frobenius_norm(singular_values(one))
        row: dict[str, Any] = {"module": one.module, "layer": one.layer, "projection": one.projection}
        row["update_over_base"] = update / base
        for name, rounding in ROUNDINGS.items():
            error = float((rounding(weight) - weight).norm())
            row |= {f"{name}_over_base": error / base, f"{name}_over_update": error / update if update else np.inf}
        rows.append(row)
    return pd.DataFrame(rows)


def cards(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """A row for every share of exact answers in the cards, of splits that come with the adapter: `exact` with its 95 %
    interval (Wilson), n and seconds beside `card`.

    quick: 20 cases for every share of the adapter `whole`. No run is looked at.
    """
    graph = kg.load_graph("biotoolkg").graph
    names = {node: graph.nodes[node]["name"] for node in kg.flow_graph(graph)}
    rows: list[dict[str, Any]] = []
    for adapter in ADAPTERS[:1] if quick else ADAPTERS:
        folder = shipped(adapter)
        engine = Engine(models.load("smollm2", names=names, adapter=folder))
        for figure in told(folder):
            say(f"{adapter}: {figure['split']}, {figure['share']:.0%} withheld")
            found = measured(engine, folder, figure, most=20 if quick else None, seed=seed)
            rows.append({"adapter": adapter, **found})
    return {"table": rows}


def told(folder: Path) -> list[dict[str, Any]]:
    """The scores of a card that can be measured again: exact answers to cases that lie in the folder."""
    scores = card(folder)["scores"]
    return [row for row in scores if row["metric"] == "exact" and _cases(folder, row["split"]).is_file()]


def _cases(folder: Path, split: str) -> Path:
    return folder / ("showcase.jsonl.gz" if split == "showcase" else f"cases_{split}.jsonl.gz")


def measured(
    engine: Engine, folder: Path, figure: Mapping[str, Any], *, most: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """One row of a card's scores again, on its cases or on the first `most` of them as `mixed` orders them.

    seed: of the needed facts that are withheld, which are others than those that the card's figure was measured with.
    """
    cases = mixed(load_cases(_cases(folder, figure["split"])))[:most]
    started = time.perf_counter()
    shown = card(folder).get("always_shown", ())
    answers = score(engine, cases, share=figure["share"], adapter=True, edges=set(), seed=seed, always_shown=shown)
    found = proportion([answer["exact"] for answer in answers])
    exact = {"exact": found.share, "low": found.low, "high": found.high, "n": found.n, "card": figure["mean"]}
    asked = {"cases": figure["split"], "withheld": figure["share"]}
    return asked | exact | {"seconds": time.perf_counter() - started}
