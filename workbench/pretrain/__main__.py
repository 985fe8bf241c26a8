"""Command line: `python -m workbench.pretrain --out FOLDER`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm.auto import tqdm

from workbench.artifacts.files import atomic_write_json
from workbench.pretrain.lessons import LESSONS
from workbench.pretrain.teaching import PretrainConfig, Pretraining, Progress, held_out


def main(argv: list[str] | None = None) -> None:
    """Command line: trains (or resumes) and writes config.json, model.safetensors and card.json to --out."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.pretrain", description="Makes the embedded graph reader."
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for weights and card; checkpoints go to its `training`"
    )
    for name, value in asdict(PretrainConfig()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument(
        "--threads", type=int, default=2, help="the same number gives the same weights on the same machine"
    )
    options = vars(parser.parse_args(argv))
    out = options.pop("out")
    torch.set_num_threads(options.pop("threads"))
    config = PretrainConfig(**options)
    training = Pretraining(config, out / "training")
    with tqdm(mininterval=2) as bar:

        def listen(progress: Progress, loss: float) -> None:
            if bar.desc != f"{progress.lesson}: ":
                bar.set_description(progress.lesson, refresh=False)
                bar.reset(total=config.path_steps if progress.lesson == LESSONS[-1] else config.recall_steps)
            bar.set_postfix(loss=f"{loss:.3f}", right=f"{progress.right:.3f}", refresh=False)
            bar.update(progress.step - bar.n)

        model = training.run(listen=listen)
    model.save_pretrained(out, safe_serialization=True)
    figures = held_out(model, seed=config.seed)
    atomic_write_json(
        out / "card.json",
        {
            "name": "graph reader",
            "data": "random tool graphs with random names (pretrain.randomgraphs); no graph of the project is used",
            "config": asdict(config),
            "parameters": sum(p.numel() for p in model.parameters()),
            "recall_steps_taken": training.progress.took,
            "train_seconds": round(training.progress.seconds),
            "threads": torch.get_num_threads(),
            "held_out": figures,
        },
    )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
