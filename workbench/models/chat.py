"""What a model's chat template writes around a message.

A template is a program of whoever made the model. It runs in a process of its own, with its time, memory and output
bounded, and it must hand the message through as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from workbench.models.checkpoint import ModelError

SECONDS, MEMORY, LONGEST = 20, 4 << 30, 100_000  # of a processor; bytes; characters around the message
CLOSED = "\n\n</think>\n\n"  # so such models write where they do not think
WAIT = 300  # seconds by the clock: a machine may be busy
PROBE = "\u241f" + "".join(f"{i}  {{{{ a }}}} -> <b> & 'c' \"D\"?\n" for i in range(400)) + "\u241f"

RENDER = """
from transformers.utils.chat_template_utils import render_jinja_template
def written(template, tokens, message):
    chat = [dict(role="user", content=message)]
    return render_jinja_template([chat], chat_template=template, add_generation_prompt=True, **tokens)[0][0]
"""

BOUNDED = """
import contextlib, json, resource, sys
seconds, memory, longest, arguments = json.load(sys.stdin)
for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory)):
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))
try:
    said = dict(text=written(*arguments)[: longest + 1])
except Exception as error:  # of whatever kind: a template may raise any
    said = dict(error=f"{type(error).__name__}: {error}"[:200])
json.dump(said, sys.stdout)
"""


def frame(tokenizer: Any, name: str, *, thought: bool = False) -> tuple[str, str]:
    """What stands before and after a user's message, the generation prompt included. name: the model, for errors.

    Where the template opens a thought, it is closed again, so that what follows is the answer; thought: it stays open.
    Without a template: the token that begins a text, and `Answer:` on a line. Raises ModelError: the template fails,
    does not end, writes too much, or does not hand the message through once and unchanged.
    """
    if not tokenizer.chat_template:
        return tokenizer.bos_token or "", "Answer:\n"
    try:
        template, tokens = tokenizer.get_chat_template(), dict(tokenizer.special_tokens_map)
        arguments = json.dumps([template, tokens, PROBE], default=str)
    except (TypeError, ValueError) as error:
        raise _refused(name, str(error)) from error
    text, fault = _rendered(arguments)
    if fault:
        raise _refused(name, fault)
    if len(text) > len(PROBE) + LONGEST:
        raise _refused(name, f"it writes more than {LONGEST:,} characters around a message")
    before, found, after = text.partition(PROBE)
    if not found or PROBE[:20] in before + after:
        raise _refused(name, "it drops, changes or repeats the user's message, which must stand in its text once")
    return before, after if thought or not opens_thought(after) else f"{after.rstrip()}{CLOSED}"


def opens_thought(closing: str) -> bool:
    """Whether a generation prompt ends within a thought."""
    _, opened, rest = closing.rpartition("<think>")
    return bool(opened) and "</think>" not in rest


def _refused(name: str, fault: str) -> ModelError:
    return ModelError(
        f"model {name!r}: its chat template cannot be used: {' '.join(fault.split())}; mend chat_template in its "
        "tokenizer's files, or take it away: then the prompt is bare text"
    )


@lru_cache(maxsize=16)
def _rendered(arguments: str) -> tuple[str, str]:
    return apart(RENDER, arguments, longest=len(PROBE) + LONGEST, seconds=SECONDS)


def apart(program: str, arguments: str, *, longest: int, seconds: int) -> tuple[str, str]:
    """(text, fault) of `written(*arguments)`, which the program defines, in a process of its own. arguments: a JSON
    list. longest: of a text one character more than so many is seen, at most."""
    order = f"[{seconds}, {MEMORY}, {longest}, {arguments}]"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program + BOUNDED], input=order, capture_output=True, text=True, timeout=WAIT
        )
    except subprocess.TimeoutExpired:
        return "", f"it does not end within {WAIT} s"
    if done.returncode > 0:
        return "", f"it cannot be tried: {(done.stderr.splitlines() or [''])[-1][:200]}"
    if done.returncode < 0:  # ended by its limits
        return "", f"it needs more than {seconds} s or {MEMORY >> 30} GiB"
    said: Mapping[str, str] = json.loads(done.stdout)
    return said.get("text", ""), said.get("error", "")
