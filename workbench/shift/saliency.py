"""Gradient on the weights of every adapted module: the first-order effect of its update, and WAGLE's saliency.

For a module with inputs x_t and gradients g_t at its outputs, the gradient on its full weight is G = sum_t g_t x_t^T.
It is never formed: <s B A, G> = sum_t (s A x_t) . (B^T g_t), and of two prompts
<G, G'> = sum_tt' (g_t . g'_t') (x_t . x'_t'), from two tokens x tokens matrices.

`carried` says which modules carry reading and which memory: what each adds where only the one or the other helps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from workbench import models
from workbench.cases import Case, load_cases, mixed, withhold
from workbench.game import Adapted, Engine, Game, ModuleGame, adapted_modules
from workbench.models.adapter_folder import layer_of
from workbench.models.checkpoint import release
from workbench.models.prompts import Prompt
from workbench.models.smollm2 import card
from workbench.shift.response import dose_path
from workbench.shift.switches import unit_place
from workbench.train.views import Names

GAMMA = 1.0  # nats: stands for the curvature of the loss, Hessian = gamma I


def module_saliency(
    engine: Engine, pairs: Sequence[tuple[Case, Case]], answers: Sequence[Sequence[int]]
) -> pd.DataFrame:
    """WAGLE's weight attribution (Jia et al. 2024) in adapter form, summed over each module: a row a pair and module.

    pairs: the intact case, and the case on the counterfactual graph. answers: token ids a pair, teacher-forced on both.
    loss_r = -log p(answer) on the intact graph, loss_f the same on the counterfactual one, nats, G their gradients on
    the module's full weight, dW = s B A. Columns: `case, module, layer, projection`, `retain` = <dW, G_r>, `forget` =
    <dW, G_f>, `conflict` = <G_r, G_f>, and `saliency` = forget - conflict / `GAMMA`. -retain is d log p / d dose at 1.

    One forward and one backward pass a batch of pairs. ValueError: lengths that differ.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> from workbench.explain import without
        >>> less = without(game.case, game.case.facts[:1])
        >>> answer = game.engine.answer_ids(game.case, game.case.path)
        >>> table = module_saliency(game.engine, [(game.case, less)], [answer])
        >>> len(table) == len(adapted_modules(game.engine.lm.model))
        True
    """
    modules = adapted_modules(engine.lm.model)
    rows: dict[int, list[tuple]] = {}
    prompts = [(engine.prompt(intact), engine.prompt(changed)) for intact, changed in pairs]
    lengths = [2 * (max(len(a.ids), len(b.ids)) + len(y)) for (a, b), y in zip(prompts, answers, strict=True)]
    release()
    for batch in engine.batches(lengths, gradients=True):  # both prompts of a pair in one pass
        both = [prompts[i][side] for side in (0, 1) for i in batch]
        found = _inner_products(engine, modules, both, [answers[i] for i in batch] * 2)
        for module, table in zip(modules, found, strict=True):
            for i, (retain, forget, conflict) in zip(batch, table.tolist(), strict=True):
                place = pairs[i][0].id, module.name, layer_of(module.name), module.name.rpartition(".")[2]
                rows.setdefault(i, []).append((*place, retain, forget, conflict, forget - conflict / GAMMA))
    release()  # the pass is the largest of all
    columns = ["case", "module", "layer", "projection", "retain", "forget", "conflict", "saliency"]
    return pd.DataFrame([row for i in sorted(rows) for row in rows[i]], columns=columns)


def by_unit(play: ModuleGame, table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers by module (the index) as sums over the modules of each unit of a game.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> play = ModuleGame(example_game(), unit="projection")
        >>> ones = pd.DataFrame({"modules": 1}, index=[one.name for one in play.modules])
        >>> by_unit(play, ones)["modules"].to_dict()
        {'q_proj': 6, 'v_proj': 6}
    """
    rows = table.loc[[one.name for one in play.modules]]
    return pd.DataFrame(play.summed(rows.to_numpy().T).T, play.names, rows.columns)


def over_parts(play: ModuleGame, values: np.ndarray) -> np.ndarray:
    """Values (m, parts) of the rank-one parts as sums (m, units) over the parts of every unit's modules.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> play = ModuleGame(example_game(), unit="projection")
        >>> over_parts(play, np.ones((1, sum(one.rank for one in play.modules)))).shape
        (1, 2)
    """
    firsts = np.cumsum([0, *(one.rank for one in play.modules)])[:-1]
    return play.summed(np.add.reduceat(values, firsts, axis=1))


def first_order(play: ModuleGame, products: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, float]:
    """The slope of a case's value at dose 1, nats, three ways: (units,) by a backward pass to the doses, (units,) by
    inner products, and as one number for all units together by doses of 0.99 and 1.01.

    products: rows of `module_saliency`, of this case among others.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> play = ModuleGame(example_game(), unit="projection")
        >>> engine, case = example_game().engine, example_game().case
        >>> answer = engine.answer_ids(case, case.path)
        >>> products = module_saliency(engine, [(case, case)], [answer])
        >>> slopes, inner, measured = first_order(play, products)
        >>> bool(np.allclose(slopes, inner)), bool(np.isclose(slopes.sum(), measured))  # an update that is still 0
        (True, True)
    """
    _, slopes = play.gradients(np.ones((1, play.n)))
    own = products[products["case"] == play.case.id].set_index("module")
    inner = -by_unit(play, own[["retain"]])["retain"].to_numpy()
    low, high = play(np.array([[0.99], [1.01]]) * np.ones((2, play.n)))
    return slopes[0], inner, (high - low) / 0.02


def cheap_scores(play: ModuleGame, products: pd.DataFrame, norms: pd.Series, paths: np.ndarray) -> pd.DataFrame:
    """What cheap numbers say of units, means over cases: `norm`, `first order`, `saliency`, `path, training cases`.

    products: rows of `module_saliency`; norms: of the updates, by module; paths: (cases, units) of `dose_path`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> play = ModuleGame(example_game(), unit="projection")
        >>> engine, case = example_game().engine, example_game().case
        >>> answer = engine.answer_ids(case, case.path)
        >>> products = module_saliency(engine, [(case, case)], [answer])
        >>> norms = pd.Series(2.0, index=[one.name for one in play.modules])
        >>> cheap_scores(play, products, norms, np.zeros((1, play.n)))["norm"].round(1).to_dict()  # root of 6 x 2 x 2
        {'q_proj': 4.9, 'v_proj': 4.9}
    """
    each = products.groupby("module")[["retain", "saliency"]].mean().join(norms.rename("norm") ** 2)
    summed = by_unit(play, each)
    scores = {"norm": summed["norm"] ** 0.5, "first order": -summed["retain"], "saliency": summed["saliency"].abs()}
    return pd.DataFrame(scores | {"path, training cases": paths.mean(axis=0)})


def _inner_products(
    engine: Engine, modules: Sequence[Adapted], prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    """Per module (pairs, 3): <dW, G_r>, <dW, G_f>, <G_r, G_f>. The first half of the rows is intact, the other not."""
    started, longest = time.perf_counter(), max(map(len, answers))
    fed = [answer[:-1] for answer in answers]
    with _products(modules) as (nothing, found), torch.enable_grad():
        result, real = engine.forward(prompts, fed, logits_to_keep=longest, use_cache=False)
        engine.book(rows=len(prompts), tokens=int(real.sum()), started=started)
        logits = result.logits.float()
        del result  # what it holds is large
        loss = torch.zeros((), device=logits.device)
        for row, answer in zip(logits, answers, strict=True):
            at = torch.as_tensor(answer, device=logits.device)[:, None]
            loss = loss - row[longest - len(answer) :].log_softmax(-1).gather(1, at).sum()
        engine.backward(loss, [nothing])
    return [found[k] for k in range(len(modules))]


def _module_products(module: Adapted, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Inputs x (2 pairs, tokens, in) and gradients g (2 pairs, tokens, out) as (pairs, 3) inner products, float64."""
    half = len(x) // 2
    weights = module.A.weight.detach().float(), module.B.weight.detach().float()
    update = module.scaling * ((x @ weights[0].T) * (g @ weights[1])).sum((1, 2), dtype=torch.float64)
    # rows of padding have no gradient, so they add nothing
    inputs, outputs = (torch.bmm(t[:half], t[half:].transpose(1, 2)) for t in (x, g))
    conflict = (inputs * outputs).sum((1, 2), dtype=torch.float64)
    return torch.stack([update[:half], update[half:], conflict], dim=1).cpu()


@contextmanager
def _products(modules: Sequence[Adapted]) -> Iterator[tuple[torch.Tensor, dict[int, torch.Tensor]]]:
    """Takes the products of each module, by number, as soon as a backward pass gets there: the pass goes to a 0 that is
    added to all outputs. No gradient and no input is held longer than needed: of all modules, they are large. Hooks go
    after.
    """
    nothing = torch.zeros((), device=modules[0].A.weight.device, requires_grad=True)
    inputs: dict[int, torch.Tensor] = {}
    found: dict[int, torch.Tensor] = {}

    def tap(k: int, module: nn.Module, given: Any, output: torch.Tensor) -> torch.Tensor:
        inputs[k] = given[0].detach()
        carried = output + nothing
        carried.register_hook(partial(arrived, k))
        return carried

    def arrived(k: int, slope: torch.Tensor) -> None:
        found[k] = _module_products(modules[k], inputs.pop(k).float(), slope.float())

    with ExitStack() as hooks:
        for k, module in enumerate(modules):
            hooks.enter_context(module.layer.register_forward_hook(partial(tap, k)))
        yield nothing, found


READING, MEMORY = "reading", "memory"
WITHHELD = 0.6  # of the needed facts, for memory: the most that adapters were trained with
STEPS = 4  # midpoints of the path from base to tuned


def carried(
    model: str, adapter: Path, *, names: Mapping[str, str], cases: int, seed: int, steps: int = STEPS
) -> pd.DataFrame:
    """The parts of an adapter's gain in the right answer's log-probability, on held-out cases that come with it.

    One row a case, kind and module: `case, kind, module, layer, projection, path` (nats, see `dose_path`). Kind
    `reading`: every name made up and every needed fact shown, so that nothing can be remembered; `memory`: `WITHHELD`
    of the needed facts left out, so that they cannot be read. cases: so many of each kind, `mixed`. The model is loaded
    with that adapter and let go again. OSError: no cases come with it.

    Examples:
        >>> from workbench.models import shipped
        >>> carried("smollm2", shipped("whole"), names=names, cases=4, seed=0)  # doctest: +SKIP
    """
    engine = Engine(models.load(model, names=names, adapter=adapter))
    some = mixed(load_cases(adapter / "cases_held_out.jsonl.gz"))[:cases]
    shown = {READING: unknown(some, engine, seed=seed)}
    rng, always = np.random.default_rng(seed), card(adapter).get("always_shown", ())
    shown[MEMORY] = [withhold(case, WITHHELD, rng=rng, always_shown=always) for case in some]
    tables = []
    for kind, asked in shown.items():
        for case in asked:
            game = Game.of(engine, case, path=case.path)
            table = {"module": ModuleGame(game).names, "path": dose_path([game], steps=steps)[0]}
            tables.append(pd.DataFrame({"case": case.id, "kind": kind, **table}))
    found = pd.concat(tables, ignore_index=True)
    places = [unit_place(name, "module") for name in found["module"]]
    found[["layer", "projection"]] = pd.DataFrame(places, index=found.index)
    return found


def unknown(cases: Sequence[Case], engine: Engine, *, seed: int) -> list[Case]:
    """The cases with a made-up name for every name."""
    made_up, rng = Names.of(engine.lm), np.random.default_rng(seed)
    return [replace(case, names=made_up.draw(case.names, rng)) for case in cases]


def gain_shares(table: pd.DataFrame, *, by: Sequence[str]) -> pd.DataFrame:
    """Shares of an adapter's whole gain of each kind, ratios of sums over the cases: groups of `by` -> one column a
    kind. table: rows of `carried`.

    Examples:
        >>> rows = pd.DataFrame({"kind": "memory", "projection": ["q_proj", "v_proj"], "path": [1.0, 3.0]})
        >>> gain_shares(rows, by=["projection"])["memory"].to_dict()
        {'q_proj': 0.25, 'v_proj': 0.75}
    """
    sums = table.pivot_table(values="path", index=list(by), columns="kind", aggfunc="sum", sort=False)
    return sums / sums.sum()
