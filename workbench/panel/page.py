"""The mask explorer of a run folder, opened with nothing but the folder's path."""

from __future__ import annotations

import os
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from workbench import Run
from workbench.artifacts.runs import PAGE_RUN_DIR
from workbench.panel.masks import MaskPanel

SHOWN = 60  # stored explanations that are read at the start; more would make a reader wait


def explorer(run_dir: str | os.PathLike[str], *, model: str | None = None) -> MaskPanel:
    """The mask explorer of a run, with the explanations that notebook 3 has left there, and its settings, on the case
    that the notebook followed.

    model: the base model; None: the one that the adapter was trained on. MissingStage: the adapter was not made.
    """
    run = Run(run_dir, model=model)
    disable_progress_bar()  # of the weights: it would stand above the explorer for good
    config, withheld, seed = run.settings
    stored = run.first_explanations(SHOWN)
    panel = MaskPanel(
        run.engine,
        run.shown(withheld=withheld, seed=seed),
        explanations=stored,
        config=config,
        seed=seed,
        withheld=withheld,
        asker=run.asker(seed=seed),
        folder=(run.folder / "explain" / "exports").resolve(),
    )
    followed = stored[0].case.id if stored else ""
    if followed in panel.cases:  # not so where the notebook followed a typed question
        panel.select(followed)
    return panel


def page_run_dir() -> Path:
    """The run folder that the page was opened on. KeyError: the page was not opened by `workbench app`."""
    return Path(os.environ[PAGE_RUN_DIR])
