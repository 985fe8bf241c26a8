"""What `workbench app` shows of a run folder: its mask explorer, and a box for records, below which stands on which
facts both models' answers hang."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from transformers.utils.logging import disable_progress_bar

from workbench import Run
from workbench.artifacts.files import atomic_write_text
from workbench.artifacts.runs import PAGE_RUN_DIR
from workbench.artifacts.stage import check_inside
from workbench.hands.panel.explorer import View, button
from workbench.hands.panel.mask_panel import MaskPanel
from workbench.hands.panel.parts import Access, named
from workbench.hands.panel.work import Cancelled, Job, Worker, on_loop
from workbench.hands.report.write import log_records
from workbench.logs.decisions import DECISIONS
from workbench.logs.run import Explained, explain_log
from workbench.logs.speakers import Kept
from workbench.logs.summary import FAILED, REFUSED
from workbench.models import ModelError

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


JOB = "explain"
BUDGET = 300  # answers for one set
EXAMPLE = {"question": "Is bwa free software?", "facts": [["bwa", "is licensed under", "GPL-3"]], "decision": "yesno"}
NOTHING = "Paste a record, or several lines of them, and press Explain."


class RecordPanel(View):
    """A box for records, what they are asked of, and what was found. folder: where each is kept, as an explained log of
    its own; model, adapter, decision: as of `explain_log`, to be changed in the panel. The model stays loaded until
    another is asked."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        model: str,
        adapter: str | os.PathLike[str] | None = None,
        decision: str = "text",
    ):
        self.folder, self.worker, self.found, self._load = Path(folder), Worker(), "", Kept()
        line = {"layout": {"width": "min(46em, 100%)"}}
        self.text = widgets.Textarea(placeholder=json.dumps(EXAMPLE), layout={"width": "100%", "height": "12em"})
        self.faults, self.status, self.result = widgets.HTML(), widgets.HTML(f"<p>{NOTHING}</p>"), widgets.HTML()
        self.model = widgets.Text(model, description="model", **line)
        self.adapter = widgets.Text(str(adapter or ""), description="adapter", **line)
        choices = ["chain", "record", *DECISIONS]
        self.decision = widgets.Combobox(value=decision, options=choices, description="decision", **line)
        self.explain = button("Explain", "asks both models about every record", button_style="primary")
        self.explain.on_click(lambda _button: self.recompute())
        self.mark()
        called = {"text": "records, as JSON", "model": "model", "decision": "decision"}
        called["adapter"] = "folder of the adapter"
        access = Access()
        access.parts = [
            *(named(f".wb-{name} :is(input, textarea)", label) for name, label in called.items()),
            named(".wb-faults", role="alert"),
            named(".wb-status", role="status"),
        ]
        inputs = (self.text, self.faults, self.model, self.adapter, self.decision, self.explain)
        self.widget = widgets.VBox([access, *inputs, self.status, self.result]).add_class("wb-records")

    def recompute(self) -> None:
        """Explains what stands in the box; what is wrong with it is said below the box."""
        text = self.text.value.strip()
        self.faults.value, self.explain.disabled = "", True
        self.status.value = "<p>Asking the models …</p>"
        how = {"model": self.model.value.strip(), "adapter": self.adapter.value.strip() or None}
        how |= {"decision": self.decision.value.strip() or "text", "budget": BUDGET}
        say = on_loop(lambda done, of: setattr(self.status, "value", f"<p>{done} of {of} records</p>"))
        self.worker.run(JOB, lambda job: self._explained(job, text, how, say), done=self._show, failed=self._fail)

    def _explained(self, job: Job, text: str, how: Mapping[str, Any], say: Any) -> Explained:
        def progress(done: int, of: int) -> None:
            job.check()
            say(done, of)

        name = hashlib.sha256(json.dumps([text, how]).encode()).hexdigest()[:16]
        log = self.folder / f"{name}{'.json' if _whole(text) else '.jsonl'}"
        check_inside(self.folder.parent, self.folder, log, self.folder / name)
        atomic_write_text(log, f"{text}\n")
        return explain_log(log, out=self.folder / name, progress=progress, load=self._load, **how)

    def _show(self, found: Explained) -> None:
        wrong = [one["why"] for one in found.records if one["state"] in (REFUSED, FAILED)]
        self.faults.value = "".join(f"<p><strong>{escape(why)}</strong></p>" for why in wrong)
        self.found = self.result.value = log_records(found.folder)
        self._end(f"{len(found.records) - len(wrong)} of {len(found.records)} records; kept in {found.folder}")

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            return
        if not isinstance(error, ValueError | OSError | ModelError):
            self._end("This is a fault of the workbench.")
            raise error
        self.faults.value = f"<p><strong>{escape(str(error))}</strong></p>"
        self._end("Nothing was asked.")

    def _end(self, said: str) -> None:
        self.status.value, self.explain.disabled = f"<p>{escape(said)}</p>", False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_() or {}
        asked = f"<pre>{escape(self.text.value)}</pre>" if self.text.value else ""
        still = f"{asked}{self.faults.value}{self.status.value}{self.found}"
        return {**live, "text/html": still, "text/plain": self.text.value or NOTHING}


def _whole(text: str) -> bool:
    """Whether the text is one JSON value rather than lines of them."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def record_panel(run_dir: str | os.PathLike[str]) -> RecordPanel:
    """The box for records, asked of the model and the adapter of a run. MissingStage: the adapter was not made."""
    run = Run(run_dir)
    disable_progress_bar()  # of the weights: it would stand above the box for good
    decision = "chain" if run.model == "reader" else "text"
    return RecordPanel(
        run.folder.resolve() / "pasted", model=run.model, adapter=run.adapter.resolve(), decision=decision
    )
