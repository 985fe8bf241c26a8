"""The chain as a picture: graph, tuning, explanation, weights; the part of a notebook is lit, finished ones ticked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from typing import Any

from workbench.artifacts.runs import MANIFEST, STAGES, stage_folder

PARTS = {
    "kg": ("graph", "what is known"),
    "adapter": ("tuning", "what a model remembers"),
    "explain": ("explanation", "what its answer hangs on"),
    "shift": ("weights", "where that sits"),
}
"""Stage -> its part of the chain, and the part in words."""

BOX, GAP, HIGH = 172, 24, 74  # pixels
LIGHT = "--ink:#222;--ground:#fff;--rim:#767676;--lit:#0072B2;--on:#fff"
DARK = "--ink:#eee;--ground:#1c1c1c;--rim:#9a9a9a;--lit:#56B4E9;--on:#111"
# JupyterLab says its theme on the page; elsewhere the reader's system does
STYLE = f""".wb-map{{{LIGHT};max-width:100%;height:auto;font-family:system-ui,sans-serif}}
@media (prefers-color-scheme:dark){{.wb-map{{{DARK}}}}}
[data-jp-theme-light="true"] .wb-map{{{LIGHT}}}[data-jp-theme-light="false"] .wb-map{{{DARK}}}
.wb-map .ground{{fill:var(--ground)}}.wb-map rect.part{{fill:none;stroke:var(--rim);stroke-width:1.5}}
.wb-map text{{fill:var(--ink)}}.wb-map .lit rect.part{{fill:var(--lit);stroke:var(--lit)}}
.wb-map .lit text{{fill:var(--on)}}.wb-map path{{fill:none;stroke:var(--rim);stroke-width:2}}"""


@dataclass(frozen=True)
class Drawn:
    """An SVG with what it shows in words; inline in JupyterLab, a picture elsewhere."""

    svg: str
    alt: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.svg, "image/svg+xml": self.svg, "text/plain": self.alt}


def chain_map(here: str, run_dir: str | os.PathLike[str] | None = None) -> Drawn:
    """The four parts in a row with the one of stage `here` lit. run_dir: what it has finished is ticked.

    KeyError: no stage has this name.

    >>> chain_map("shift").alt
    'The chain graph → tuning → explanation → weights. This notebook is weights: where that sits.'
    """
    said = PARTS[here]
    done = {stage for stage in PARTS if run_dir is not None and (stage_folder(run_dir, stage) / MANIFEST).is_file()}
    boxes = [_box(k, stage, lit=stage == here, done=stage in done) for k, stage in enumerate(PARTS)]
    chain = " → ".join(name for name, _ in PARTS.values())
    finished = ", ".join(PARTS[stage][0] for stage in PARTS if stage in done)
    ticked = f" Finished in this run: {finished}." if done else ""
    alt = f"The chain {chain}. This notebook is {said[0]}: {said[1]}.{ticked}"
    wide = len(PARTS) * (BOX + GAP)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wb-map" role="img" width="{wide}" height="{HIGH + 16}" '
        f'viewBox="0 0 {wide} {HIGH + 16}" aria-label="{escape(alt)}"><title>{escape(alt)}</title>'
        f'<style>{STYLE}</style><rect class="ground" width="100%" height="100%"/>{"".join(boxes)}</svg>'
    )
    return Drawn(svg, alt)


def _box(k: int, stage: str, *, lit: bool, done: bool) -> str:
    """One part, and the arrow that leads to it."""
    left = GAP // 2 + k * (BOX + GAP)
    name, words = PARTS[stage]
    number, middle = int(STAGES[stage][:2]), left + BOX / 2
    arrow = f'<path d="M{left - GAP + 3} 45h{GAP - 6}m-6-5l6 5-6 5"/>' if k else ""
    return (
        f'{arrow}<g class="{"lit" if lit else "dim"}">'
        f'<rect class="part" x="{left}" y="8" width="{BOX}" height="{HIGH}" rx="8"/>'
        f'<text x="{middle}" y="40" text-anchor="middle" font-size="17" font-weight="{700 if lit else 400}">'
        f"{number} {name}{' ✓' if done else ''}</text>"
        f'<text x="{middle}" y="62" text-anchor="middle" font-size="12">{words}</text></g>'
    )
