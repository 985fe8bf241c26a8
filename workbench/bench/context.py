"""Which facts to show with a question: the smallest grounding set against the k-hop neighbourhood, with a tuned model.

On the held-out pairs of a run. An answer is right when it starts at the source, ends at the target and every step is a
fact of the graph, `is_a` included. `facts ratio`: the facts of a way over those of the smallest grounding set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from workbench import Run
from workbench.artifacts import runs
from workbench.bench import Say
from workbench.bench.common import load
from workbench.cases import Case, Fact
from workbench.game import Engine
from workbench.kg import flow_graph, focus, from_json
from workbench.kg.plan import Context, Grounding, Tokens
from workbench.stats import bootstrap_mean, proportion
from workbench.train import is_valid

BUDGET = 384  # tokens for facts: the embedded reader takes 512 in all, with the question and the answer
SHORT = 72  # the 24 facts, of one token a name, that the reader was trained on
HOPS = (1, 2, 3)
CASES = 200


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Accuracy, facts and tokens per prompt of each way, and what the k-hop way needs to be as often right."""
    engine, cases = load(run_dir)
    graph = from_json(runs.require_stage(run_dir, "kg") / "graph.json")
    known = Run(run_dir).names
    part = focus(graph, {tool for c, tool, key in graph.edges(keys=True) if key == "command_of" and c in known})
    rng = np.random.default_rng(seed)
    cases = [cases[i] for i in rng.permutation(len(cases))[: 20 if quick else CASES]]
    names = {node: part.nodes[node]["name"] for node in part}
    grounding = Grounding(part, tokens=_tokens(engine, names))
    ways: dict[str, Callable[[str, str], Context]] = {
        "smallest": partial(grounding.cover, budget=BUDGET),
        "smallest, 3 chains": partial(grounding.cover, budget=BUDGET, chains=3),
        **{f"{hops}-hop": partial(grounding.near, hops=hops, budget=BUDGET) for hops in HOPS},
        **{f"{hops}-hop, cut": partial(grounding.near, hops=hops, budget=SHORT) for hops in HOPS},
    }
    edges = set(flow_graph(part).edges) | set(grounding.is_a.edges)
    rows = []
    for name, way in ways.items():
        contexts = [way(case.source, case.target) for case in cases]
        rows.append(_measured(engine, cases, contexts, names, edges, name=name, seed=seed))
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
    known: dict[Fact, int] = {}

    def count(given: tuple[str, str, str]) -> int:
        fact = Fact(*given)
        if fact not in known:
            case = Case("", fact.head, fact.tail, (fact,), (), {n: names[n] for n in (fact.head, fact.tail)})
            [line] = [segment for segment in engine.lm.template.segments(case) if segment.fact == 0]
            known[fact] = len(engine.lm.tokenizer.encode(line.text, add_special_tokens=False))
        return known[fact]

    return count


def _measured(
    engine: Engine,
    cases: list[Case],
    contexts: list[Context],
    names: dict[str, str],
    edges: set[tuple[str, str]],
    *,
    name: str,
    seed: int,
) -> dict:
    rng = np.random.default_rng(seed)
    shown = [_asked(case, context, names, rng) for case, context in zip(cases, contexts, strict=True)]
    longest = max(len(engine.answer_ids(case, case.path)) for case in cases)
    paths = engine.answers(shown, adapter=True, max_new_tokens=2 * longest)
    right = proportion(np.array([is_valid(p, c, edges) for p, c in zip(paths, cases, strict=True)]))
    facts = bootstrap_mean([len(context.facts) for context in contexts], rng=rng)
    return {
        "way": name,
        "right": right.share,
        "low": right.low,
        "high": right.high,
        "n": right.n,
        "facts": facts.mean,
        "facts low": facts.low,
        "facts high": facts.high,
        "tokens": float(np.mean([context.tokens for context in contexts])),
        "grounded": float(np.mean([context.grounded for context in contexts])),
    }


def _asked(case: Case, context: Context, names: dict[str, str], rng: np.random.Generator) -> Case:
    """The case's question with other facts, in an order that tells nothing."""
    facts = tuple(Fact(*context.facts[i]) for i in rng.permutation(len(context.facts)))
    nodes = {case.source, case.target, *case.path, *(end for fact in facts for end in (fact.head, fact.tail))}
    return replace(case, facts=facts, withheld=(), names={node: names[node] for node in nodes})
