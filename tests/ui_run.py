"""A run folder of the real notebooks 1 and 2 at tiny settings, and small notebooks that open the explorer on it."""

import shutil
from pathlib import Path

import nbformat
import pytest
from conftest import made_once
from nbformat.v4 import new_code_cell, new_notebook
from notebook_runs import execute

TINY = {
    "train_cases": 40, "held_out_cases": 6, "held_out_sequences": 6, "held_out_tool_cases": 4, "steps": 4, "batch": 2,
    "checkpoint_every": 4, "scored_cases": 1, "base_cases": 1, "shares": [0.0],
}  # fmt: skip

OPEN = """
from workbench.panel.page import explorer
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
from workbench.panel import MaskPanel
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


def write_notebook(path: Path, code: str) -> Path:
    """A notebook of one cell."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(code.strip())], metadata=kernel), path)
    return path


@pytest.fixture(scope="session")
def ui_run(made_kg: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a graph and an adapter on the embedded model, as notebooks 1 and 2 leave it."""

    def make(folder: Path) -> None:
        shutil.copytree(made_kg, folder / "run")
        execute("02_train_qlora", run_dir=str(folder / "run"), **TINY)

    return made_once(tmp_path_factory, "ui", make) / "run"
