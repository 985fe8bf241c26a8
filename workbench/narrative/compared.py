"""What the comparison of two adapters of one base says."""

from __future__ import annotations

import pandas as pd

from workbench.narrative.names import count
from workbench.shift.carried import MEMORY, READING, gain_shares
from workbench.stats import spearman


def two_adapters(sides: pd.DataFrame, gains: pd.DataFrame) -> str:
    """Their directions, their sizes, and what carries reading and memory in each.

    sides: rows of `workbench.shift.compare`; gains: rows of `workbench.shift.carried` with the column `adapter`.
    """
    said = [_directions(sides)]
    for name, rows in gains.groupby("adapter", sort=False):
        nats = rows.groupby(["kind", "case"])["path"].sum().groupby("kind").mean()
        modules, parts = (gain_shares(rows, by=[by]) for by in ("module", "projection"))
        alike = spearman(modules[READING], modules[MEMORY])
        more = (parts[MEMORY] - parts[READING]).sort_values().index[[-1, 0]]
        most, least = (f"{one} ({parts[MEMORY][one]:.2f} against {parts[READING][one]:.2f})" for one in more)
        said.append(
            f"{name} adds {nats[READING]:.1f} nats to the right answer where every name is made up and "
            f"{nats[MEMORY]:.1f} where needed facts are withheld ({count(rows['case'].nunique(), 'case')}); what each "
            f"module adds has a rank correlation of {alike:.2f} between the two; memory takes more of its gain than "
            f"reading from {most}, and less from {least}"
        )
    return f"{'. '.join(said)}."


def _directions(sides: pd.DataFrame) -> str:
    one, other = sides["first"].iloc[0], sides["second"].iloc[0]
    low, middle, high = (sides["norm_second"] / sides["norm_first"]).quantile([0.05, 0.5, 0.95])
    shared = {kind: (sides[f"{kind}_overlap"].median(), sides[f"{kind}_null"].median()) for kind in ("column", "row")}
    spaces = [f"{mean:.2f} of the directions {kind} (by chance up to {chance:.2f})" for kind, (mean, chance) in
              zip(("written into", "read from"), shared.values(), strict=True)]  # fmt: skip
    return (
        f"Over {count(len(sides), 'module')} the changes of {one} and {other} have a cosine of "
        f"{sides['cosine'].median():.2f} and share {' and '.join(spaces)}, medians; that of {other} is {middle:.2f} "
        f"times as large ({low:.2f} to {high:.2f} in nine of ten modules)"
    )
