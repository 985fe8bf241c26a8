"""`python -m workbench explain LOG`: on which facts the answers of a log hang."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from workbench.cli.exit import DONE, FAILED
from workbench.cli.screen import result, say


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    explain = commands.add_parser("explain", parents=[common], help="on which facts the answers of a log hang")
    explain.set_defaults(command=_explain)
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
    from workbench.sweep.log_records import streamed

    return partial(streamed, workers=workers, scheduler=scheduler)


def _explain(options: argparse.Namespace) -> int:
    from inspect import signature

    from workbench.logs.run import explain_log
    from workbench.logs.summary import EXPLAINED
    from workbench.report.write import write_report

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
