"""`python -m workbench.train --model MODEL --out FOLDER`: an adapter by a recipe, judged on cases that are held out.

    python -m workbench.train --model smollm2 --table biotoolkg --out runs/smollm2     # on a GPU, some minutes
    python -m workbench.train --model reader --out runs/reader                         # on a processor
    python -m workbench.train --run runs/demo --steps 500 --out runs/shorter           # graph and settings of a run
    python -m workbench.train --model smollm2 --draw-only --out cases                  # here; and then elsewhere:
    python -m workbench.train --model smollm2 --cases cases --seconds 300 --out runs/smollm2

By several processes, one a GPU: see `workbench.train.config`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench import models
from workbench.cases import QUESTIONS
from workbench.train.config import TrainConfig, is_main
from workbench.train.making import PRESETS, Making, Recipe, Splits, made_again

COUNTS = {  # options for the numbers of cases
    "train_cases": "train",
    "held_out_cases": "held_out",
    "held_out_sequences": "held_out_sequences",
    "held_out_tool_cases": "held_out_tools",
}
LISTS = {"modules": str, "shares": float}


def main(argv: list[str] | None = None) -> int:
    """0: done to the end; 2: wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    options = parser.parse_args(argv)
    say = partial(print, flush=True) if is_main() else lambda line: None
    try:
        recipe = recipe_of(options)
        drawn = partial(Splits.drawn, recipe, progress=lambda n: say(f"{n} cases drawn"))
        given = Splits.read(options.cases) if options.cases else drawn()
        if options.draw_only:
            given.save(options.out, training=True)
            return 0
        Making(recipe, given, options.out, say=say, base=not options.no_base).run()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options. Without one of the settings, the preset's or the run's value holds."""
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the adapter, its card and the held-out cases"
    )
    parser.add_argument("--model", help="reader, smollm2, a Hugging Face id or a local folder")
    parser.add_argument("--preset", choices=PRESETS, help="settings to start from; that of the model by itself")
    parser.add_argument("--run", type=Path, help="a run folder, whose graph and settings are taken")
    parser.add_argument("--settings", help="JSON, or a file of it: model, table, topics, sampling, train")
    parser.add_argument("--table", help="a graph: biotoolkg, a folder of tables or triples, a graph file")
    parser.add_argument("--topics", nargs="*", help="EDAM topics whose tools are asked about; none: the whole graph")
    parser.add_argument("--cases", type=Path, help="folder with cases_*.jsonl and names.json, instead of drawing them")
    parser.add_argument("--draw-only", action="store_true", help="draw the cases into --out and stop")
    parser.add_argument("--no-base", action="store_true", help="do not judge the model without the adapter")
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, help="kinds of question to draw, each as often")
    for option in COUNTS:
        parser.add_argument(f"--{option.replace('_', '-')}", type=int, metavar="N", help="cases of this split")
    for setting in fields(TrainConfig):
        flag = f"--{setting.name.replace('_', '-')}"
        if setting.name in LISTS:
            parser.add_argument(flag, nargs="+", type=LISTS[setting.name], help="see TrainConfig")
        elif isinstance(setting.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help="see TrainConfig")
        else:
            kind = float if setting.default is None else type(setting.default)
            parser.add_argument(flag, type=kind, metavar="N", help="see TrainConfig")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The preset, changed by a run, by --settings and by single options, in this order. ValueError: a setting is
    off."""
    chosen = options.preset or (options.model if options.model in PRESETS else None)
    recipe = PRESETS[chosen or (models.READER if options.model is None else "smollm2")]
    if options.run:
        recipe = made_again(options.run, recipe)
    if options.settings:
        recipe = recipe.with_settings(_json(options.settings))
    given = {name: value for name, value in vars(options).items() if value is not None}
    recipe = recipe.with_settings({k: given[k] for k in ("model", "table", "topics") if k in given})
    counts = {field: given[k] for k, field in (*COUNTS.items(), ("questions", "questions")) if k in given}
    train = {f.name: given[f.name] for f in fields(TrainConfig) if f.name in given}
    changed = recipe.with_settings({"sampling": counts, "train": train})
    return changed if options.seed is None else replace(changed, sampling=replace(changed.sampling, seed=options.seed))


def _json(text: str) -> dict[str, Any]:
    found = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("settings must be a JSON object")
    return found


if __name__ == "__main__":
    sys.exit(main())
