"""What the shift explorer says and lists: the setting in words, answers as a table, elements by their measures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from workbench.explain.verdict import count
from workbench.shift.dose import GRID
from workbench.shift.setting import Answered, Settings
from workbench.words import chain, clean


def setting_words(settings: Settings, found: Answered) -> str:
    """The answer at a setting, beside that of the adapter as trained, and the value, in two or three sentences."""
    names, trained = settings.engine.lm.names, settings.at()
    off = f" with {len(found.off)} of {count(len(settings.modules), settings.unit)} off" if found.off else ""
    same = "as trained" if found.toolchain == trained.toolchain else "which is not its answer as trained"
    right = "the right answer" if found.toolchain == settings.case.toolchain else "not the right answer"
    what = (
        "The lead of the answer as trained over another"
        if settings.form == "margin"
        else "The log p of the answer as trained"
    )
    base = float(settings.curve()[GRID.index(0.0)])
    return (
        f"At dose {found.dose:g}{off} the model answers {chain(found.toolchain, names)}, {same}; that is {right}. "
        f"{what} is {found.value:+.2f} nats; with the adapter as trained {trained.value:+.2f}, without it {base:+.2f}."
    )


def answer_table(settings: Settings, found: Answered) -> str:
    """The right answer, the one as trained, the one at this setting, command by command; what is new has `+` in front,
    what is gone `−`. Names are escaped."""
    names, trained = settings.engine.lm.names, settings.at().toolchain
    now = [f"{'' if node in trained else '+ '}{clean(names.get(node, node))}" for node in found.toolchain]
    now += [f"− {clean(names.get(node, node))}" for node in trained if node not in found.toolchain]
    told = {
        "right answer": [clean(names.get(node, node)) for node in settings.case.toolchain],
        "as trained": [clean(names.get(node, node)) for node in trained],
        "as set": now,
    }
    rows = [
        f'<tr><th scope="row">{name}</th><td>{escape(" → ".join(steps) or "no command")}</td></tr>'
        for name, steps in told.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def picked_words(rows: pd.DataFrame, measures: Sequence[str], picked: int | None) -> str:
    """An element by every measure, with its rank among its own kind."""
    some = rows[rows["element"] == picked]
    if some.empty or not measures:
        return ""
    one = some.iloc[0]
    kin = rows[rows["kind"] == one["kind"]]
    said = []
    for name in measures:
        if pd.notna(one[name]):
            rank = int((kin[name] > one[name]).sum()) + 1
            said.append(
                f"{name} {float(one[name]):.3g} (number {rank} of {count(int(kin[name].notna().sum()), one['kind'])})"
            )
    return f"{clean(str(one['name']))}: {', '.join(said)}."


def element_table(rows: pd.DataFrame, measures: Sequence[str], *, picked: int | None) -> str:
    """Every element by every measure as an HTML table; the picked one is bold and has an arrow. Names are escaped."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("element", *measures))
    body = []
    for row in rows.to_dict("records"):
        mark = row["element"] == picked
        name = f"▶ <b>{escape(clean(str(row['name'])))}</b>" if mark else escape(clean(str(row["name"])))
        cells = "".join(f"<td>{float(row[m]):.3g}</td>" for m in measures)
        body.append(f"<tr><td>{name}</td>{cells}</tr>")
    return f"<table><tr>{heads}</tr>{''.join(body)}</table>"
