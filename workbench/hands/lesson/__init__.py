"""What the four notebooks need to be a lesson: where we are, a guess before the result, exercises that answer, limits.

Nothing here writes: whatever a reader tries, the run folder stays as it is.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil

from workbench import __version__, on_demand
from workbench.artifacts import cache
from workbench.artifacts.provenance import PACKAGE_FOLDER, package_versions
from workbench.artifacts.runs import MANIFEST
from workbench.artifacts.stage import STAGES, MissingStage, StaleStage, require_stage, stage_folder
from workbench.hands.bench import machine

if TYPE_CHECKING:
    from workbench.hands.lesson.exercises import checker
    from workbench.hands.lesson.limits import limit
    from workbench.hands.lesson.prediction import Prediction

__all__ = ["Prediction", "chain_map", "checker", "environment", "limit"]
# what stands on torch: the first notebook does without
__getattr__ = on_demand(__name__, {"checker": "exercises", "limit": "limits", "Prediction": "prediction"})

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


TOLD = ("torch", "transformers", "peft", "bitsandbytes")
NEEDED = 2.0  # GB that the reader's notebooks take at most, beside the browser


def environment(run_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a thing, with `state` and `to do`, empty where nothing is to be done. No model is loaded.

    >>> environment("no/such/run").loc["run: 01_build_kg", "state"]
    'not made yet'
    """
    here, free = machine(), psutil.virtual_memory().available / 1e9
    close = "" if free >= NEEDED else f"close other programs: {NEEDED:g} GB should be free"
    rows = [
        ("workbench", f"{__version__}, Python {platform.python_version()}", ""),
        *_packages(),
        ("memory", f"{free:.1f} of {here['memory_bytes'] / 1e9:.1f} GB free", close),
        ("processor", f"{here['cores']} cores, {here['processor']}", ""),
        *_models(),
        *((f"run: {name}", *_stage(run_dir, stage)) for stage, name in STAGES.items()),
    ]
    return pd.DataFrame(rows, columns=["what", "state", "to do"]).set_index("what")


def _packages() -> list[tuple[str, str, str]]:
    """The versions of what trains and reads models, and every package that is missing."""
    found = package_versions()
    missing = [name for name, version in found.items() if version == "not installed"]
    shown = dict.fromkeys([*TOLD, *missing])
    return [(name, found[name], f"install {name}" if name in missing else "") for name in shown]


def _models() -> list[tuple[str, str, str]]:
    """The named models: in the package, in the cache, or still to be fetched."""
    reader, fetched = PACKAGE_FOLDER / "data" / "reader", cache.folder_of("smollm2")
    here = fetched.is_dir()
    made = "in the cache" if here else "not fetched"
    return [
        ("model: reader", f"in the package, {cache.size_of(reader) / 1e6:.0f} MB", ""),
        ("model: smollm2", made, "" if here else "only if you want it: `workbench models fetch`"),
    ]


def _stage(run_dir: str | os.PathLike[str], stage: str) -> tuple[str, str]:
    try:
        require_stage(run_dir, stage)
    except StaleStage:
        return "out of date", f"run {STAGES[stage]} again"
    except MissingStage:
        return "not made yet", f"run {STAGES[stage]}"
    return "finished", ""
