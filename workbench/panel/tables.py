"""Tables of the panels as HTML. Every name comes from a graph and is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from workbench.explain import FLAGS, Explanation, Weights, contributions, verdict
from workbench.figures.core import short

ANSWERS = {
    "tuned_full": "tuned, on G",
    "tuned_changed": "tuned, on Gc",
    "base_full": "base, on G",
    "base_changed": "base, on Gc",
}


def answer_table(found: Explanation, names: Mapping[str, str]) -> str:
    """Toolchains of both models before and after, then the metrics and what a reader must know."""
    rows = []
    for key, text in ANSWERS.items():
        if key in found.toolchains:
            chain = " → ".join(escape(short(names.get(node, node))) for node in found.toolchains[key])
            rows.append(f"<tr><td>{text}</td><td>{chain or '<i>no command</i>'}</td></tr>")
    numbers = ", ".join(f"{escape(name)} {value:.2f}" for name, value in found.metrics.items())
    flags = "; ".join(escape(FLAGS.get(flag, flag)) for flag in found.flags)
    removed = verdict.count(len(found.removed), "element")
    changed = f"{removed} removed; the tuned toolchain {'changed' if found.flipped else 'stayed'}"
    return f"<table>{''.join(rows)}</table><p>{changed}: {numbers}.</p><p><i>{flags}</i></p>"


def term_table(row: Mapping[str, float], weights: Weights) -> str:
    """What each term of a step would add to the objective with these weights. row: unweighted, as in a history."""
    added = contributions(row, weights)
    lines = [(escape(name), f"{row[name]:.4g}", f"{value:+.4g}") for name, value in added.items()]
    lines.append(("objective", "", f"{sum(added.values()):+.4g}"))
    body = "".join(f"<tr><td>{name}</td><td>{value}</td><td>{part}</td></tr>" for name, value, part in lines)
    return f"<table><tr><th>term, last step</th><th>value</th><th>weighted</th></tr>{body}</table>"
