"""The panel of notebook 3: weights of the objective, the masked graph of a case, and the answers.

Moving a slider re-weights at once what is stored; masks for new weights are learned on **Recompute**. Whatever a
control does can be done by code: `set_weights`, `select`, `recompute`, `state`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from workbench.cases import Case
from workbench.explain import LEARNED, ExplainConfig, Explanation, Weights, explain, verdict
from workbench.figures.core import Figure, short, stacked
from workbench.figures.explain import answers, case_graph
from workbench.game import Engine
from workbench.panel.sliders import WeightSliders
from workbench.panel.tables import answer_table, term_table


class MaskPanel:
    """Learns the masks of one case at a time and shows what they remove and what becomes of the answers.

    explanations: results already at hand, shown without new work. In JupyterLab the live `widget` is shown, everywhere
    else its still picture.
    """

    figure: Figure

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[Case],
        *,
        explanations: Iterable[Explanation] = (),
        config: ExplainConfig | None = None,
        seed: int = 0,
    ):
        self.engine, self.seed, self.config = engine, seed, config or ExplainConfig()
        self.cases = {case.id: case for case in cases}
        self.results = {(e.case.id, e.method): e for e in explanations if e.method in LEARNED}
        self.weigh = WeightSliders(self.config.weights, listen=self._reweigh)
        self.chooser = widgets.Dropdown(options=[(_label(c), c.id) for c in self.cases.values()], description="case")
        self.method = widgets.ToggleButtons(options=list(LEARNED), value=LEARNED[-1], description="method")
        self.button = widgets.Button(description="Recompute", button_style="primary", tooltip="learn the masks anew")
        self.status, self.marker, self.table, self.terms = (widgets.HTML() for _ in range(4))
        self.cell = widgets.Textarea(disabled=True, layout={"width": "95%", "height": "14em"})
        self.graph = widgets.Box()
        self.widget = self._arranged()
        self.chooser.observe(lambda _: self._show(), "value")
        self.method.observe(lambda _: self._show(), "value")
        self.button.on_click(lambda _: self._clicked())
        self._show()

    @property
    def case(self) -> Case:
        """The case that is shown."""
        return self.cases[self.chooser.value]

    @property
    def weights(self) -> Weights:
        """The weights the sliders stand for."""
        return self.weigh.weights

    @property
    def explanation(self) -> Explanation | None:
        """The last result for the shown case and method."""
        return self.results.get((self.case.id, self.method.value))

    @property
    def stale(self) -> bool:
        """Whether what is shown was learned with other weights than the sliders stand for, or not at all."""
        return self.explanation is None or dict(self.explanation.weights) != self.weights.to_dict()

    @property
    def state(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON types; assign it to come back to it."""
        settings = {"case": self.case.id, "method": self.method.value, "seed": self.seed}
        return {**settings, "threshold": self.config.threshold, "weights": self.weights.to_dict()}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        weights = Weights.from_dict(state["weights"])
        self.select(state["case"], method=state["method"])
        self.config = replace(self.config, threshold=float(state["threshold"]))
        self.seed = int(state["seed"])
        self.set_weights(weights)

    def parameters_cell(self) -> str:
        """The state as lines for the parameters cell of the notebook."""
        values = {**self.weights.to_dict(), "threshold": self.config.threshold, "seed": self.seed}
        return "\n".join(f"{name} = {value!r}" for name, value in values.items())

    def select(self, case: str | Case, *, method: str | None = None) -> None:
        """Shows another case (or its id), and another learned method. ValueError: there is no such case or method."""
        name = case if isinstance(case, str) else case.id
        if name not in self.cases:
            some = ", ".join(map(repr, list(self.cases)[:3]))
            raise ValueError(f"no case {name[:80]!r} in this panel; it has {len(self.cases)}, such as {some}")
        if method not in (None, *LEARNED):
            raise ValueError(f"method must be one of {', '.join(LEARNED)}, not {method!r}")
        self.chooser.value = name
        self.method.value = method or self.method.value

    def set_weights(self, weights: Weights) -> None:
        """Moves every slider; a weight of 0 switches its term off."""
        self.weigh.set(weights)

    def reset(self) -> None:
        """Back to the weights the panel was made with."""
        self.weigh.reset()

    def recompute(self) -> Explanation:
        """Learns the masks of the shown case with the weights of the sliders, and shows the outcome.

        What goes wrong is shown in the status line and raised.
        """
        method, config = self.method.value, replace(self.config, weights=self.weights)
        steps = config.paper_steps if method == "paper" else config.loop_steps
        self.button.disabled, self.button.description = True, "running"
        self._say(f"running: {method}, {steps} steps")
        try:
            told = self._progress(steps)
            (found,) = explain(self.engine, [self.case], method, seed=self.seed, config=config, progress=told)
            self.results[found.case.id, method] = found
            self._show()
            removed = verdict.count(len(found.removed), "element")
            self._say(f"done: {method}, {found.ledger['seconds']:.1f} s, {removed} removed")
            return found
        except BaseException as error:  # an interrupt too must not leave "running" behind
            self._say(f"error: {type(error).__name__}: {error}")
            raise
        finally:
            self.button.disabled, self.button.description = False, "Recompute"

    def png(self) -> bytes:
        """The still face: the graph and, once there are any, the answers."""
        found = self.explanation
        if found is None:
            return self.figure.png()
        title = f"Answers before and after, {found.method}"
        return stacked([self.figure, answers(found.case, found.toolchains, self.engine.lm.names, title=title)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_() or {}
        return {**live, "image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": self.figure.alt}

    def _arranged(self) -> widgets.VBox:
        named = {"case": self.chooser, "method": self.method, "recompute": self.button, "status": self.status}
        named |= {
            "stale": self.marker,
            "answers": self.table,
            "terms": self.terms,
            "cell": self.cell,
            "graph": self.graph,
        }
        for name, part in named.items():
            part.add_class(f"wb-{name}")
        buttons = widgets.HBox([self.button, self.weigh.undo])
        left = widgets.VBox([self.weigh.widget, buttons, self.status, self.marker, self.terms])
        more = widgets.Accordion([self.cell], titles=("these settings for the parameters cell",))
        right = widgets.VBox([self.graph, self.table, more], layout={"flex": "1 1 auto", "min_width": "0"})
        whole = widgets.VBox([widgets.HBox([self.chooser, self.method]), widgets.HBox([left, right])])
        return whole.add_class("wb-panel")

    def _clicked(self) -> None:
        try:
            self.recompute()
        except Exception:  # the status line says it; a traceback from a button would go nowhere
            return

    def _say(self, text: str) -> None:
        self.status.value = escape(text[:400])

    def _progress(self, steps: int) -> Callable[[str, dict[str, float]], None]:
        def told(method: str, row: dict[str, float]) -> None:
            if "step" in row and row["step"] % 10 == 0:
                self._say(f"running: {method}, step {row['step']:.0f} of {steps}, objective {row['loss_ema']:.4g}")

        return told

    def _show(self) -> None:
        """Everything that depends on the case and its result."""
        found = self.explanation
        title = f"{self.case.id}: {'not learned yet' if found is None else found.method}"
        degrees, removed = (None, ()) if found is None else (found.degrees, found.removed)
        self.figure = case_graph(self.case, title=title, degrees=degrees, removed=removed)
        before, self.graph.children = self.graph.children, (go.FigureWidget(self.figure.live),)
        for old in before:
            old.close()
        self.table.value = "press Recompute" if found is None else answer_table(found, self.engine.lm.names)
        self._reweigh()

    def _reweigh(self) -> None:
        """Everything that depends on the weights and costs nothing."""
        found = self.explanation
        self.marker.value = "● what is shown was learned with other weights" if found and self.stale else ""
        self.cell.value = self.parameters_cell()
        self.terms.value = term_table(found.history[-1], self.weights) if found and found.history else ""


def _label(case: Case) -> str:
    ends = (short(case.names.get(node, node), 28) for node in (case.source, case.target))
    return f"{short(case.id, 24)}: {' to '.join(ends)}"
