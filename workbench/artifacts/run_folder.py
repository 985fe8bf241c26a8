"""One door to a run folder: what its stages left, each part opened when it is first asked for, and the verbs on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from workbench import explain as explaining
from workbench import kg, models
from workbench.artifacts import runs
from workbench.attribution import METHODS as ATTRIBUTIONS
from workbench.cases import Case, load_cases, mixed, toolchain, withhold
from workbench.cases.asking import Asker, chosen_case, telling_case
from workbench.explain import BASELINES, CERTIFIED, METHODS, ExplainConfig, Explanation, Weights
from workbench.game import Engine, Game

SHOWCASE = "showcase"


class Cases(Mapping[str, list[Case]]):
    """The case files of an adapter's folder by name: `train`, `held_out`, ..., `showcase`; each is read once."""

    def __init__(self, folder: Path):
        found = {path.stem.removeprefix("cases_"): path for path in sorted(folder.glob("cases_*.jsonl"))}
        self._files = found | {SHOWCASE: folder / f"{SHOWCASE}.jsonl"}
        self._read: dict[str, list[Case]] = {}

    def __getitem__(self, name: str) -> list[Case]:
        if name not in self._files:
            raise KeyError(f"no cases are called {name!r}; there are {', '.join(self._files)}")
        if name not in self._read:
            self._read[name] = load_cases(self._files[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class Run:
    """A run folder, finished or not.

    folder: as `--run-dir`. model: the base model; None: the one that the adapter was trained on. thought: as for
    `models.load`.
    What needs a stage that was not made, or has changed since, raises `runs.MissingStage`, which names its notebook.

    Examples:
        >>> Run("runs/none").has("adapter")
        False
        >>> run = Run("runs/demo")                                    # doctest: +SKIP
        >>> run.explain(run.cases["held_out"][0]).removed             # doctest: +SKIP
        >>> run.attribute("showcase", "context_cite").head()          # doctest: +SKIP
    """

    def __init__(
        self, folder: str | os.PathLike[str] = "runs/demo", *, model: str | None = None, thought: bool = False
    ):
        self.folder, self._model, self.thought = Path(folder), model, thought

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, finished: {', '.join(filter(self.has, runs.STAGES)) or 'nothing'})"

    def has(self, stage: str) -> bool:
        """Whether a stage was made to its end, and nothing of it has changed since."""
        try:
            return bool(runs.require_stage(self.folder, stage))
        except runs.MissingStage:
            return False

    # what the stages left

    @cached_property
    def graph(self) -> nx.MultiDiGraph:
        """The knowledge graph of notebook 1."""
        return kg.from_json(runs.require_stage(self.folder, "kg") / "graph.json")

    @cached_property
    def adapter(self) -> Path:
        """Folder of the adapter, PEFT's format."""
        return runs.require_stage(self.folder, "adapter")

    @cached_property
    def names(self) -> dict[str, str]:
        """Node id -> name of what the model has words for."""
        return json.loads((self.adapter / "names.json").read_text("utf-8"))

    @cached_property
    def cases(self) -> Cases:
        """Name -> cases as they were drawn, in the order of their files."""
        return Cases(self.adapter)

    @cached_property
    def model(self) -> str:
        """Name, id or folder of the base model."""
        return self._model or runs.read_manifest(self.folder, "adapter")["config"].get("model", models.READER)

    @cached_property
    def engine(self) -> Engine:
        """The base model with the adapter on it, to be switched on and off."""
        return Engine(models.load(self.model, names=self.names, adapter=self.adapter, thought=self.thought))

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Stage -> metrics of its manifest, of the stages that are finished."""
        return {stage: runs.read_manifest(self.folder, stage)["metrics"] for stage in filter(self.has, runs.STAGES)}

    @cached_property
    def explanations(self) -> list[Explanation]:
        """What notebook 3 saved; none where it has not been run to its end."""
        return self.first_explanations()

    def first_explanations(self, most: int | None = None) -> list[Explanation]:
        """The first of them, where a reader would wait too long for all."""
        if not self.has("explain"):
            return []
        return [
            explaining.load(file) for file in sorted((self.folder / "explain" / "explanations").glob("*.json"))[:most]
        ]

    @cached_property
    def settings(self) -> tuple[ExplainConfig, float, int]:
        """Settings, share of withheld facts and seed of notebook 3; the defaults where it has not been run."""
        if not self.has("explain"):
            return ExplainConfig(), 0.0, 0
        manifest = runs.read_manifest(self.folder, "explain")
        given = manifest["config"]
        how = dict(given.get("explain", {}))
        weights = dict(how.pop("weights", {}))
        more = weights.pop("more", {})
        how["weights"] = Weights.from_dict(weights | more)
        return ExplainConfig(**how), float(given.get("withheld", 0.0)), int(manifest["seed"])

    # cases to look at

    def shown(self, *, withheld: float = 0.0, seed: int = 0) -> list[Case]:
        """The showcase, then the held-out cases, `mixed`, with a share of their needed facts withheld."""
        rng = np.random.default_rng(seed)
        held_out = [withhold(one, withheld, rng=rng) for one in self.cases["held_out"]]
        return [*self.cases[SHOWCASE], *mixed(held_out)]

    def asker(self, *, seed: int = 0) -> Asker | None:
        """What makes cases of typed questions about the graph; None where notebook 1 has not been run."""
        return Asker(self.graph, self.names, seed=seed) if self.has("kg") else None

    def chosen(
        self, cases: Sequence[Case], name: str = "", *, question: Sequence[str] = (), among: int | None = None,
        asker: Asker | None = None,
    ) -> Case:  # fmt: skip
        """The case of a question (source, target), else of `cases` that with the id `name`, else of the first `among`
        the one that shows best what tuning did (`telling_case`). Errors as of `chosen_case`."""
        found = name or ("" if question else telling_case(self.engine, cases[:among]))
        return chosen_case(cases, found, question=question, asker=asker)

    def case(self, wanted: Case | str | Sequence[str]) -> Case:
        """A case by its id, by `showcase`, or of a question: source and target, by name or id.

        QuestionError: the question makes no case. KeyError: no case has this id.
        """
        if isinstance(wanted, Case):
            return wanted
        if not isinstance(wanted, str):
            from_, to = wanted
            return Asker(self.graph, self.names, seed=self.settings[2]).case(from_, to)
        if wanted == SHOWCASE:
            return self.cases[SHOWCASE][0]
        found = next((case for name in self.cases for case in self.cases[name] if case.id == wanted), None)
        if found is None:
            raise KeyError(f"no case has the id {wanted[:80]!r}; ids stand in run.cases['held_out'], ...")
        return found

    # verbs

    def answers(self, case: Case | str | Sequence[str]) -> dict[str, tuple[str, ...]]:
        """`tuned` and `base` -> the commands that each model answers with, by name."""
        one = self.case(case)
        told = {"tuned": self.engine.answers([one]), "base": self.engine.answers([one], adapter=False)}
        return {who: tuple(self.names.get(node, node) for node in toolchain(path)) for who, (path,) in told.items()}

    def explain(self, case: Case | str | Sequence[str], method: str = CERTIFIED) -> Explanation:
        """The smallest change that turns the tuned model's answer, by a method of `explain.METHODS`, with the settings
        of notebook 3."""
        config, _, seed = self.settings
        return explaining.explain(self.engine, [self.case(case)], method, seed=seed, config=config)[0]

    def attribute(
        self, case: Case | str | Sequence[str], method: str = "leave_one_out", *, seed: int = 0, **settings: Any
    ) -> pd.Series:
        """Scores of the case's elements by a method of `attribution.METHODS`, highest first; higher matters more.

        KeyError: an unknown method.
        """
        if method not in ATTRIBUTIONS:
            raise KeyError(f"no attribution method is called {method!r}; there are {', '.join(ATTRIBUTIONS)}")
        one = self.case(case)
        found = ATTRIBUTIONS[method](Game.of(self.engine, one), rng=np.random.default_rng(seed), **settings)
        labels = list(map(one.label, one.elements))
        return pd.Series(found.scores, index=labels, name=method).sort_values(ascending=False)

    def compare(
        self, cases: Sequence[Case | str], methods: Sequence[str] = METHODS, *, seed: int | None = None
    ) -> pd.DataFrame:
        """One row a method and case: what was removed, whether the answer turned, the paper's four metrics."""
        config, _, own = self.settings
        chosen = [self.case(one) for one in cases]
        seed = own if seed is None else seed
        session = explaining.Session(self.engine, chosen, seed=seed, config=config)
        session.check(methods)
        found = {method: session.explanations(method, with_base=method not in BASELINES) for method in methods}
        return pd.DataFrame(explaining.records(found))
