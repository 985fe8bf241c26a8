"""Tables of the panels as HTML. Names are escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from workbench.explain import Weights, contributions


def term_table(row: Mapping[str, float], weights: Weights) -> str:
    """What each term of a step would add to the objective with these weights. row: unweighted, as in a history."""
    added = contributions(row, weights)
    lines = [(escape(name), f"{row[name]:.4g}", f"{value:+.4g}") for name, value in added.items()]
    lines.append(("objective", "", f"{sum(added.values()):+.4g}"))
    body = "".join(f"<tr><td>{name}</td><td>{value}</td><td>{part}</td></tr>" for name, value, part in lines)
    return f"<table><tr><th>term, last step</th><th>value</th><th>weighted</th></tr>{body}</table>"
