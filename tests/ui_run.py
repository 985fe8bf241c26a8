"""Tiny settings of the real notebook 2, and small notebooks that open the explorer on it."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from ui_browser import ROOT

TINY = {
    "train_cases": 40, "held_out_cases": 6, "held_out_sequences": 6, "held_out_tool_cases": 4, "steps": 4, "batch": 2,
    "checkpoint_every": 4, "scored_cases": 1, "base_cases": 1, "shares": [0.0],
}  # fmt: skip

START = "from workbench.artifacts.start import own_process\nown_process()\n"
OPEN = """
from workbench.hands.panel.page import explorer
panel = explorer({run!r})
panel
"""

HOSTILE = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
import explain_cases as small
from workbench.explain import ExplainConfig
from workbench.game import Engine
from workbench.models import LanguageModel
from workbench.hands.panel import MaskPanel
from workbench.models.prompts import ReaderTemplate
from workbench.models.reader import build_tokenizer
bad = {names!r}
names = {{node: f"{{bad[i % len(bad)]}}{{i}}" for i, node in enumerate(small.NAMES)}}
lm = LanguageModel(small.model().model, build_tokenizer(names.values()), ReaderTemplate(), names, "tiny")
case = replace(small.case(), id=bad[0], names=names)
panel = MaskPanel(Engine(lm), [case], config=ExplainConfig(loop_steps=3))
panel.recompute()
panel.check()
panel
"""

GRAPH = """
import sys
sys.path.insert(0, {tests!r})
from test_panel_graph import HOSTILE, graph
from workbench.hands.panel.graph import GraphPanel
GraphPanel(graph(HOSTILE))
"""
SHIFT = """
import sys
sys.path.insert(0, {tests!r})
from dosed_models import tiny
from test_panel_shift import CASE, elements
from workbench.game import Engine
from workbench.hands.panel.shift import ShiftPanel
ShiftPanel(Engine(tiny()), [CASE], elements=elements([CASE]))
"""
GUESS = """
import sys
sys.path.insert(0, {tests!r})
import explain_cases as small
from IPython.display import display
from workbench.hands import lesson
display(lesson.chain_map("explain"))
lesson.Prediction(small.engine(), small.cases())
"""
TRAINING = """
import sys, tempfile
sys.path.insert(0, {tests!r})
from pathlib import Path
from tiny import NAMES, chain_case, save_tiny
from workbench import models
from workbench.hands.panel.training import TrainingView, by_hand
from workbench.train import TrainConfig, train
place = Path(tempfile.mkdtemp())
lm = models.load(str(save_tiny(place / "model", "llama")), names=NAMES)
view = TrainingView(steps=100_000)
view.display()
config = TrainConfig(rank=4, alpha=8, steps=100_000, batch=2)
view.finish(train(lm, [chain_case()], config, folder=place / "adapter", show=view, stoppable=by_hand()))
print(sorted(path.name for path in (place / "adapter").iterdir()))
"""

NAMES = [
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "<a href='javascript:alert(2)'>x</a>",
    "</s>",
    "a\u202egpj.exe",
    '=HYPERLINK("http://x.example","y")',
    "</textarea><script>alert(3)</script>",
    "$\\href{javascript:alert(4)}{x}$",
]

NOTEBOOKS = {
    "explore": OPEN, "hostile": HOSTILE, "graph": GRAPH, "shift": SHIFT, "guess": GUESS, "training": TRAINING
}  # fmt: skip


def write_notebooks(folder: Path, run: Path) -> Path:
    """The folder, with `NOTEBOOKS` in it, of one cell each. run: what `explore` opens."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    folder.mkdir()
    for name, code in NOTEBOOKS.items():
        cell = new_code_cell(START + code.format(run=str(run), tests=str(ROOT / "tests"), names=NAMES))
        nbformat.write(new_notebook(cells=[cell], metadata=kernel), folder / f"{name}.ipynb")
    return folder
