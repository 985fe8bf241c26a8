"""`workbench explain LOG`: on which facts the answers of a log hang; `kg questions`: a log made of a graph."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path

from workbench.artifacts.files import atomic_write_text, check_outputs, typed
from workbench.hands.cli.exit import DONE, FAILED
from workbench.hands.cli.screen import result, say


def add(declare: Callable[..., argparse.ArgumentParser]) -> None:
    explain = declare("explain", _explain, "on which facts the answers of a log hang")
    explain.add_argument("records", metavar="LOG", help="JSON lines of question, facts, ...; see --from")
    explain.add_argument(
        "--from",
        dest="reader",
        metavar="NAME",
        help="whose output LOG is: graphrag, lightrag, llamaindex, langchain, workbench (default: told by its shape)",
    )
    explain.add_argument("--model", metavar="M", required=True, help="reader, smollm2, a Hugging Face id or a folder")
    explain.add_argument("--adapter", metavar="A", help="folder of a PEFT adapter; compared with the model without it")
    explain.add_argument("--against", metavar="M2", help="compare with this model, or adapter on the same model")
    explain.add_argument("--out", metavar="DIR", required=True, help="folder for the results")
    explain.add_argument(
        "--decision",
        metavar="D",
        default="text",
        help="what of an answer counts: chain, option[:a|b], entities, yesno, text, regex:..., json; record: what its "
        "field `decision` names (default text)",
    )
    explain.add_argument("--template", metavar="FILE", help="Jinja template of the prompt, for all records")
    explain.add_argument("--sentences", action="store_true", help="search within texts too, sentence by sentence")
    explain.add_argument(
        "--span",
        dest="spans",
        metavar="S",
        action="append",
        default=[],
        help="also ask which facts hold this piece of the answer: a text, regex:... or json:path (may be repeated)",
    )
    explain.add_argument("--budget", metavar="N", type=int, default=300, help="most answers asked for one set")
    explain.add_argument(
        "--tokens",
        dest="max_new_tokens",
        metavar="N",
        type=int,
        default=32,
        help="most tokens of an answer (default 32)",
    )
    explain.add_argument("--full", dest="four_bit", action="store_false", help="weights as they are, not in 4 bits")
    explain.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible server of M; key in WORKBENCH_API_KEY")
    explain.add_argument("--requests", metavar="N", type=int, help="most requests to the endpoint")
    explain.add_argument("--spend", dest="tokens", metavar="N", type=int, help="most tokens spent at the endpoint")
    explain.add_argument("--repeats", metavar="N", type=int, help="most asks of one prompt (default: found out)")
    explain.add_argument("--workers", metavar="N", type=int, help="so many processes; a log of any length is streamed")
    explain.add_argument("--scheduler", metavar="ADDRESS", help="the workers of a Dask scheduler, tcp://host:8786")
    explain.add_argument("--redact", action="store_true", help="leave nothing with a text of the log in it")


def _through(workers: int | None, scheduler: str | None) -> Callable | None:
    if workers is None and scheduler is None:
        return None
    from workbench.hands.sweep.log_records import streamed

    return partial(streamed, workers=workers, scheduler=scheduler)


def _explain(options: argparse.Namespace) -> int:
    from workbench.hands.report.write import write_report
    from workbench.logs.run import explain_log
    from workbench.logs.summary import EXPLAINED

    asked = vars(options).keys() & signature(explain_log).parameters.keys() - {"log"}  # there, how messages are written
    given = {name: getattr(options, name) for name in asked} | {
        "template": Path(options.template).read_text("utf-8") if options.template else None,
        "through": _through(options.workers, options.scheduler),
    }
    found = explain_log(options.records, **given, progress=lambda done, of: say(f"{done} of {of} records"))
    counts = found.metrics["records"]
    for state, number in counts.items():
        if number or state == EXPLAINED:
            result(f"{state}: {number:,}")
    result(f"the report is {os.path.relpath(write_report(found.folder))}")
    return DONE if counts[EXPLAINED] else FAILED


def add_questions(declare: Callable[..., argparse.ArgumentParser]) -> None:
    """Declares `kg questions`."""
    text = "a log of questions about a graph, with answers and the facts that decide them"
    command = declare("questions", _questions, text, description=f"Make {text}.")
    command.add_argument("graph", metavar="GRAPH", help="biotoolkg, mediakg, node-link JSON, or a folder of tables")
    command.add_argument("--out", metavar="FILE", required=True, help="where the log goes (JSON lines)")
    command.add_argument("--n", metavar="N", type=int, default=500, help="how many questions (default 500)")
    command.add_argument("--facts", metavar="N", type=int, default=12, help="facts shown with each (default 12)")
    command.add_argument("--kinds", metavar="KIND", nargs="+", default=[], help="kinds of questions (default: all)")
    command.add_argument("--seed", metavar="N", type=int, default=0, help="seed of what is drawn (default 0)")


def _questions(options: argparse.Namespace) -> None:
    import numpy as np

    from workbench.kg import load_graph
    from workbench.kg.asked_log import log_of
    from workbench.stats.meter import whole

    for name in ("n", "facts"):
        whole(f"--{name}", getattr(options, name), least=1)
    given, out = load_graph(options.graph), typed(options.out)
    check_outputs({"--out": out}, reads=given.files)
    how = {"facts": options.facts, "kinds": options.kinds, "rng": np.random.default_rng(options.seed)}
    records = list(log_of(given.graph, options.n, **how))
    if not records:
        raise ValueError(f"{options.graph} gives no question of these kinds; ask for others with --kinds")
    atomic_write_text(out, "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in records))
    for kind, count in Counter(one["kind"] for one in records).items():
        say(f"{count:>7,}  {kind}")
    few = "" if len(records) == options.n else f" of the {options.n:,} asked for: the graph gives no more"
    say(f"{len(records):,} questions{few}; explain them by: workbench explain {options.out} --decision record ...")
