"""A small run whose cases are explained in sweeps: the embedded reader with an adapter of random weights."""

from dataclasses import replace
from pathlib import Path

from dosed_models import with_adapter
from tiny import NAMES, chain_case

from workbench import models
from workbench.artifacts import runs
from workbench.cases import save_cases


def make_run(place: Path, *, cases: int = 6, train: dict | None = None) -> Path:
    """A finished adapter stage with `cases` held-out cases, each with its facts in another order, and a checkpoint.

    train: settings of its training, for the manifest.
    """
    lm = with_adapter(models.load(names=NAMES), rank=2, size=0.1)
    folder = runs.open_stage(place, "adapter")
    lm.model.save_pretrained(folder / "checkpoints" / "checkpoint-1")
    lm.model.save_pretrained(folder)
    case = chain_case()
    shifted = [replace(case, id=f"held-{i}", facts=case.facts[i % 9 :] + case.facts[: i % 9]) for i in range(cases)]
    save_cases(folder / "cases_held_out.jsonl", shifted)
    runs.atomic_write_json(folder / "names.json", NAMES)
    save_cases(folder / "cases_train.jsonl", [case])
    config = {"model": "reader", "train": train or {}}
    runs.write_manifest(place, "adapter", config=config, inputs={}, metrics={}, seed=0, device="cpu")
    return place


def grid_text(run: Path, **more: str) -> str:
    """A quick grid over that run: what is certified, and a mask of the paper's in two steps."""
    keys = {"what": "explain", "runs": str(run), "methods": "[certified, paper]", "batch": "2"}
    keys |= {"parameters": "{paper_steps: 2, max_new_tokens: 8, certified_budget: 60}"} | more
    return "".join(f"{key}: {value}\n" for key, value in keys.items())


def grid_file(folder: Path, text: str, name: str = "grid.yaml") -> Path:
    """The file of a grid, in a folder that is made where it is missing."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name
