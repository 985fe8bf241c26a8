"""A log explained into a run folder: its records one by one, what they say together, and where it all comes from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from workbench.artifacts import runs
from workbench.artifacts.files import WORK_FOLDER, atomic_path, check_outputs, plain, sha256_file
from workbench.artifacts.lock import run_lock
from workbench.artifacts.provenance import describe_input
from workbench.artifacts.stage import stages
from workbench.artifacts.steps import run_folder
from workbench.logs.answers import Answers, Away, Local
from workbench.logs.asked import CHAIN, RECORD, Asked, asked, chain_names, decision_of
from workbench.logs.decisions import maker
from workbench.logs.endpoint import Served
from workbench.logs.hanging import hangs
from workbench.logs.readers import file_of, read
from workbench.logs.records import Fault, Record, Refused
from workbench.logs.spans import EACH, checked_spans
from workbench.logs.speakers import Source, Turn, adapter_account, inputs_of, served, served_account, turns
from workbench.logs.summary import EXPLAINED, FAILED, RECORDS, REFUSED, STAGE, TUNED, UNREAD, Rows, redacted, summary
from workbench.models import check_model
from workbench.models.checkpoint import release
from workbench.stats.games import Ledger, whole

Progress = Callable[[int, int], object]
"""f(records done, of all)."""


@dataclass(frozen=True)
class Explained:
    """An explained log. folder: of the run; records: as in its `log/records.jsonl`; metrics: see `summary`."""

    folder: Path
    records: Sequence[dict[str, Any]]
    metrics: dict[str, Any]


def explain_log(
    log: str | os.PathLike[str],
    *,
    model: str,
    out: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    against: str | None = None,
    reader: str | None = None,
    decision: str = "text",
    template: str | None = None,
    budget: int | None = 300,
    max_new_tokens: int = 32,
    four_bit: bool = True,
    redact: bool = False,
    endpoint: str | None = None,
    requests: int | None = None,
    tokens: int | None = None,
    repeats: int | None = None,
    sentences: bool = False,
    spans: Sequence[str] = (),
    through: Callable[..., tuple[Rows, Ledger, str, dict[str, Any]]] | None = None,
    load: Callable[..., Any] = Source.load,
    seed: int = 0,
    progress: Progress | None = None,
) -> Explained:
    """On which facts each answer of a log hangs, with certificates, and what of that an adapter or another model adds.

    log: JSON lines, see `workbench.logs.records`, or another system's output, see `workbench.logs.readers`; reader: its
    name there; None: told by its shape. model, adapter: as for `models.load`. against: a model, or the folder
    of an adapter on the same model, to compare with; None: the model without its adapter, where it has one. out: the
    run's folder; what was answered there before is not asked again. decision: what of an answer counts, `chain`, a name
    of `workbench.logs.decisions`, or `record`, for the one that each record's field `decision` names. template: Jinja,
    for all records. budget: most answers asked for one set.
    redact: nothing that is left has a text of the log. endpoint: address of an OpenAI-compatible server that has the
    models, asked for answers alone, with the key in WORKBENCH_API_KEY; requests, tokens: the most spent on a model;
    repeats: most asks of one prompt of a server whose answers scatter, None: found out by asking the first one again.
    sentences: whether sets are searched within texts too. spans: pieces of an answer that are asked about too, as in
    `logs.spans`; of JSON, each argument if none is named. load: makes engines; `logs.speakers.Kept()` keeps the last.
    through: who explains the records elsewhere, `partial(hands.sweep.log_records.streamed, workers=2)`; the log is
    then read, and what is found written, as they go: it may be of any length, and so the records come from disk.
    ValueError: what is asked for cannot be done; nothing was run. A record's own fault is its line in the result.

    Examples:
        >>> found = explain_log("log.jsonl", model="smollm2", out="runs/log", decision="yesno")  # doctest: +SKIP
        >>> found.records[0]["models"]["tuned"]["alone"]  # doctest: +SKIP
    """
    folder, log = run_folder(out), file_of(log)
    source = Source(model, Path(adapter) if adapter is not None else None, four_bit)
    whole("max_new_tokens", max_new_tokens, least=1)
    for name, given in (("budget", budget), ("requests", requests), ("tokens", tokens), ("repeats", repeats)):
        whole(name, 1 if given is None else given, least=0 if name == "budget" else 1)
    if decision not in (CHAIN, RECORD):
        maker(decision.partition(":")[0])
    inputs = {"log": Path(log), **inputs_of(source, against, endpoint)}
    if endpoint and (decision == CHAIN or adapter is not None):
        what = "adapter" if adapter is not None else "decision `chain`"
        raise ValueError(f"a served model takes no {what}; leave it out, or give no --endpoint")
    check_outputs({"out": folder}, reads=[path for path in inputs.values() if Path(path).exists()])
    if stages(folder) != (STAGE,) and any((folder / stage).exists() for stage in runs.STAGES):
        raise ValueError(f"{folder} holds a run of the notebooks; give the log another folder")
    config: dict[str, Any] = {"model": model, "against": against, "decision": decision, "template": template}
    config |= {"budget": budget, "max_new_tokens": max_new_tokens, "four_bit": four_bit, "redact": redact, "seed": seed}
    config |= {"endpoint": endpoint, "repeats": repeats, "reader": reader, "sentences": sentences}
    config["spans"] = checked_spans(spans, decision)
    if through and (requests or tokens):
        raise ValueError("a budget of requests or tokens is of one process; leave out the workers, or it")
    records_of = partial(read, log, reader)
    lines = list(islice(records_of(), 1 if through else None))
    with run_lock(folder, option="--out"):
        if (kept := _finished(folder, config, inputs)) is not None:
            return kept if through else replace(kept, records=list(kept.records))
        records: Sequence[dict[str, Any]]
        who: tuple[Sequence[Turn], Mapping[str, Local | Served]]
        if endpoint:
            how = {"requests": requests, "tokens": tokens, "repeats": repeats}
            who = served(endpoint, model, against, longest=max_new_tokens, **how)
        else:
            check_model(model)
            names = _names(source, decision, records_of() if through else lines)
            who = turns(source, against, names, longest=max_new_tokens, load=load)
        stage = runs.open_stage(folder, STAGE)
        if through:
            told = {name: config[name] for name in ("model", "against", "endpoint", "four_bit", "repeats")}
            told |= {"adapter": source.adapter and str(source.adapter.resolve()), "longest": max_new_tokens}
            told |= {"names": {} if endpoint else names, "log": sha256_file(log)}
            told["keys"] = [one.key for one in who[1].values()]
            on: dict[str, Any] = {"progress": progress, "failed": Work(None, [], config, None).failed}
            records, ledger, device, account = through(stage / WORK_FOLDER, records_of, told, config, **on)
        else:
            work = Work(stage, lines, config, progress)
            ledger, device = work.through(*who)
            records, account = work.records, served_account(who[1])
        account |= {"adapter": adapter_account(source.adapter)} if source.adapter else {}
        return _written(folder, records, config, inputs, account=account, ledger=ledger, device=device)


def _names(source: Source, decision: str, lines: Iterable[Record | Refused]) -> dict[str, str]:
    """Node id -> name, of what chains may name: the adapter's where it tells, else of the whole log."""
    if decision not in (CHAIN, RECORD):
        return {}
    told = source.adapter / "names.json" if source.adapter else None
    if told and told.is_file():
        return json.loads(told.read_text("utf-8"))
    found: dict[str, str] = {}
    for record in lines:
        if isinstance(record, Record):
            try:
                found |= chain_names(record) if decision_of(record, decision) == CHAIN else {}
            except Fault:
                continue  # its own line says so
    return found


class Work:
    """The records that are done, and those that are not. folder: of the stage, in which answers are kept; None: they
    are not."""

    def __init__(
        self,
        folder: Path | None,
        lines: Sequence[Record | Refused],
        config: Mapping[str, Any],
        progress: Progress | None,
    ):
        self.lines, self.config, self.progress = lines, config, progress
        self.kept = folder / WORK_FOLDER if folder else None
        if self.kept:
            self.kept.mkdir(exist_ok=True)
        self.done: dict[int, dict[str, Any]] = {}
        self.open: dict[tuple[int, str], Answers] = {}
        for one in lines:
            if isinstance(one, Refused):
                self.done[one.line] = self.failed(one.line, one.id, REFUSED, one.fault)

    def through(self, order: Sequence[Turn], speakers: Mapping[str, Local | Served]) -> tuple[Ledger, str]:
        """Explains every record; models that take turns go on from what the other has answered."""
        total, device = Ledger(), ""
        for turn in cycle(order):
            if not self.pending and device:
                break
            with turn.loaded() as engine:
                device = engine.lm.runs_on if engine else "a server"
                for record in self.pending:
                    self.take(record, speakers)
                    if engine and self.done.get(record.line, {}).get("state") == FAILED:
                        engine.forget()
                for spent in [engine.ledger] if engine else [one.ledger for one in turn.speakers]:
                    total = total + spent
            del engine
            release()
        return total, device

    @property
    def pending(self) -> list[Record]:
        """Records that are not done."""
        return [one for one in self.lines if isinstance(one, Record) and one.line not in self.done]

    def take(self, record: Record, speakers: Mapping[str, Local | Served]) -> None:
        """Explains a record, unless who would have to answer is away; then it stays pending."""
        try:
            found = self._explained(record, {name: self._answers(record, name, speakers[name]) for name in speakers})
        except Away:
            return
        except Fault as fault:
            fault.where = f"line {record.line}, {fault.where}"
            found = self.failed(record.line, record.id, REFUSED, fault)
        except Exception as error:  # whatever it is, it is this record's, and the others go on
            found = self.failed(record.line, record.id, FAILED, error)
        self.done[record.line] = found
        for name in speakers:
            self.open.pop((record.line, name), None)
        if self.progress:
            self.progress(len(self.done), len(self.lines))

    def _answers(self, record: Record, name: str, speaker: Local | Served) -> Answers:
        """A speaker's answers to a record, kept until the record is done."""
        key = record.line, name
        if key not in self.open:
            same = next((one.asked for (line, _), one in self.open.items() if line == record.line), None)
            self.open[key] = Answers(speaker, self._asked(record, speaker, same), self.kept)
        return self.open[key]

    def _asked(self, record: Record, speaker: Local | Served, same: Asked | None) -> Asked:
        decision = decision_of(record, self.config["decision"])
        if decision != CHAIN or isinstance(speaker, Served):  # which takes no chain: a fault of the record
            how = {name: self.config[name] for name in ("template", "sentences")}
            return same or asked(record, decision, **how)
        if speaker.engine is None:
            raise Away
        return asked(record, decision, lm=speaker.engine.lm)

    def _explained(self, record: Record, sides: Mapping[str, Answers]) -> dict[str, Any]:
        spans = self.config["spans"] or checked_spans([], decision_of(record, self.config["decision"]))
        found = hangs(sides, budget=self.config["budget"], spans=spans)
        first = sides[TUNED]
        logged = None if record.answer is None else first.asked.parse(record.answer)
        row = {"line": record.line, "id": record.id, "state": EXPLAINED if first.decision is not None else UNREAD}
        texts = {"question": record.question, "facts": [fact.text for fact in record.facts], "answer": record.answer}
        same = None if logged is None else logged == first.decision
        return self._shown(row | texts | {"more": dict(record.more), "as_logged": same} | found)

    def failed(self, line: int, id: str, state: str, error: Exception) -> dict[str, Any]:
        """The row of a record that could not be explained."""
        private, kind = self.config["redact"], type(error).__name__
        told = kind if private else f"{kind}: {error}"[:500]
        why = error.told(private=private) if isinstance(error, Fault) else told
        return self._shown({"line": line, "id": id, "state": state, "why": why, "question": "", "facts": []})

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return redacted(row) if self.config["redact"] else row

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was found, in the order of the log."""
        return [self.done[one.line] for one in self.lines]


def _written(
    folder: Path, records: Sequence[dict[str, Any]], config: Mapping[str, Any], inputs: Mapping[str, Any], **made: Any
) -> Explained:
    """The finished stage. made: `device` and `ledger`, for the manifest, and `account`, of the adapter or a server."""
    stage = runs.work_folder(folder, STAGE)
    with atomic_path(stage / RECORDS) as path, open(path, "w", encoding="utf-8") as out:
        for one in records:
            out.write(json.dumps(plain(one, where=f"line {one['line']}"), ensure_ascii=False) + "\n")
    metrics = summary(records, seed=config["seed"]) | made.pop("account")
    if isinstance(records, Rows):
        records.file.unlink(missing_ok=True)
    if config["redact"]:
        shutil.rmtree(stage / WORK_FOLDER)
        del metrics["facts"]  # which are the same in several records is not kept
    made |= {"config": _recorded(config), "inputs": inputs, "metrics": metrics}
    runs.write_manifest(folder, STAGE, seed=config["seed"], **made)
    return Explained(folder, Rows(folder / STAGE / RECORDS) if isinstance(records, Rows) else records, metrics)


def _recorded(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the manifest has them: no text of a private log's template or options."""
    private = {"template": config["template"] and "redacted", "decision": config["decision"].partition(":")[0]}
    private["spans"] = [name for name in config["spans"] if name == EACH]
    return {**config, **private} if config["redact"] else dict(config)


def _finished(folder: Path, config: Mapping[str, Any], inputs: Mapping[str, Any]) -> Explained | None:
    """What a finished run of the same settings, inputs and code has left; None where there is none."""
    if not runs.is_complete(folder, STAGE) or config["redact"]:  # a redacted run does not say what it was asked
        return None
    manifest = runs.read_manifest(folder, STAGE)
    now = {name: describe_input(folder, name, value) for name, value in inputs.items()}
    if (manifest["config"], manifest["inputs"]) != (plain(_recorded(config), where="config"), now):
        return None
    return Explained(folder, Rows(folder / STAGE / RECORDS), manifest["metrics"])
