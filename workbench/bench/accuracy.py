"""Right answers elsewhere: `bench precision` rounds the base, `bench card` asks the shipped adapters again, `bench
context` shows the smallest grounding set of facts, or the neighbourhood of k hops.

A second rounding is a change of the base's weights like the adapter's own, but without aim. How large is it beside the
update, and how many answers does it turn? People ask for both (peft issues 1043 and 2321).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench import Run, kg, models
from workbench.bench import Say
from workbench.cases import Case, Fact, load_cases, mixed, toolchain
from workbench.game import Engine
from workbench.kg import flow_graph, focus
from workbench.kg.plan import Context, Grounding, Tokens
from workbench.models import LanguageModel
from workbench.models.adapter_folder import AdapterFolder
from workbench.models.shipped_adapters import ADAPTERS, card, shipped
from workbench.shift import frobenius_norm, singular_values
from workbench.shift.base import rounded_to_nf4
from workbench.stats import bootstrap_mean, proportion
from workbench.train import is_valid
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


BUDGET = 384  # tokens for facts: the embedded reader takes 512 in all, with the question and the answer
SHORT = 72  # the 24 facts, of one token a name, that the reader was trained on
HOPS = (1, 2, 3)
PAIRS = 200


def context(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Accuracy, facts and tokens per prompt of each way to choose facts for a run's held-out pairs, and what the k-hop
    way needs to be as often right. `facts ratio`: the facts of a way over those of the smallest grounding set."""
    held = Run(run_dir)
    engine, edges = held.engine, held.graph.edges(keys=True)
    part = focus(held.graph, {tool for c, tool, key in edges if key == "command_of" and c in held.names})
    known = mixed(held.cases["held_out"])
    cases = [known[i] for i in np.random.default_rng(seed).permutation(len(known))[: 20 if quick else PAIRS]]
    names = {node: part.nodes[node]["name"] for node in part}
    grounding = Grounding(part, tokens=_tokens(engine, names))
    ways: dict[str, Callable[[str, str], Context]] = {
        "smallest": partial(grounding.cover, budget=BUDGET),
        "smallest, 3 chains": partial(grounding.cover, budget=BUDGET, chains=3),
        **{f"{hops}-hop": partial(grounding.near, hops=hops, budget=BUDGET) for hops in HOPS},
        **{f"{hops}-hop, cut": partial(grounding.near, hops=hops, budget=SHORT) for hops in HOPS},
    }
    links = set(flow_graph(part).edges) | set(grounding.is_a.edges)
    rows: list[dict[str, Any]] = []
    for name, way in ways.items():
        contexts = [way(case.source, case.target) for case in cases]
        rows.append({"way": name, **_answered(engine, cases, contexts, names, links, seed=seed)})
        say(f"{name}: {rows[-1]['right']:.3f} right, {rows[-1]['facts']:.1f} facts a prompt")
    base = rows[0]["facts"]
    table = [{**row, "facts ratio": row["facts"] / base if base else None} for row in rows]
    rivals = [row for row in table if "hop" in row["way"]]
    equal = [row for row in rivals if row["right"] >= table[0]["right"]]
    best = min(equal, key=lambda row: row["facts"]) if equal else max(rivals, key=lambda row: row["right"])
    return {
        "table": table,
        "budget_tokens": BUDGET,
        "best_rival": best["way"],
        "rival_as_often_right": bool(equal),
        "facts_of_smallest_over_rival": base / best["facts"] if best["facts"] else None,
    }


def _tokens(engine: Engine, names: dict[str, str]) -> Tokens:
    """Tokens of a fact's line in the model's own prompt."""

    @cache
    def count(given: tuple[str, str, str]) -> int:
        fact = Fact(*given)
        case = Case("", fact.head, fact.tail, (fact,), (), {n: names[n] for n in (fact.head, fact.tail)})
        [line] = [segment for segment in engine.lm.template.segments(case) if segment.fact == 0]
        return len(engine.lm.tokenizer.encode(line.text, add_special_tokens=False))

    return count


def _answered(
    engine: Engine, cases: list[Case], contexts: list[Context], names: dict[str, str], links: set, *, seed: int
) -> dict:
    """One way's figures. An answer is right when it leads from source to target and every step is one of `links`."""
    rng = np.random.default_rng(seed)
    shown = [_showing(case, context, names, rng) for case, context in zip(cases, contexts, strict=True)]
    longest = max(len(engine.answer_ids(case, case.path)) for case in cases)
    paths = engine.answers(shown, adapter=True, max_new_tokens=2 * longest)
    right = proportion(np.array([is_valid(p, c, links) for p, c in zip(paths, cases, strict=True)]))
    facts = bootstrap_mean([len(context.facts) for context in contexts], rng=rng)
    return {
        **{"right": right.share, "low": right.low, "high": right.high, "n": right.n},
        **{"facts": facts.mean, "facts low": facts.low, "facts high": facts.high},
        "tokens": float(np.mean([context.tokens for context in contexts])),
        "grounded": float(np.mean([context.grounded for context in contexts])),
    }


def _showing(case: Case, context: Context, names: dict[str, str], rng: np.random.Generator) -> Case:
    """The case's question with other facts, in an order that tells nothing."""
    facts = tuple(Fact(*context.facts[i]) for i in rng.permutation(len(context.facts)))
    nodes = {case.source, case.target, *case.path, *(end for fact in facts for end in (fact.head, fact.tail))}
    return replace(case, facts=facts, withheld=(), names={node: names[node] for node in nodes})
