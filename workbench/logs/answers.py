"""A model's answers to a record with facts taken out, each asked once and kept on disk; and the games made of them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from workbench.artifacts.files import open_itself
from workbench.game import Engine, SharedPrefix
from workbench.game.case_game import TIE
from workbench.game.prefix import pays
from workbench.logs.asked import Allowance, Asked
from workbench.models.prompts import Prompt, tokenised
from workbench.stats.games import Ledger

AGAIN = 5  # times that a prompt is asked to see whether answers scatter, or which of them most are
WHOLE, SETTLED, OTHER = range(3)  # to its end; to where what it decides is known, or that it decides another thing


class Said(NamedTuple):
    """An answer. margin: by how much each of its tokens led at least, nats, where a server tells it. ids: its tokens,
    empty where they are not known. part: how far it was written, see `WHOLE`."""

    text: str
    margin: float = 1.0
    ids: tuple[int, ...] = ()
    part: int = 0


class Away(Exception):
    """The model that would have to be asked is not loaded now."""


class Speaker(Protocol):
    """What answers. key: tells its answers from those of any other model and setting."""

    key: str

    def repeats(self, answers: Answers) -> int:
        """How often a prompt may have to be asked: 1 where it is always answered alike. answers: to the first."""

    @property
    def ledger(self) -> Ledger:
        """What it has spent."""

    def say(self, asked: Asked, keeps: np.ndarray, expected: Said | None) -> list[Said]:
        """Answers to a record without the units whose keep (m, units) is False. expected: what most will be."""


class Local:
    """A model on this machine, its adapter on or off. engine: None while it is not loaded."""

    def __init__(self, engine: Engine | None, key: str, *, adapter: bool = True, longest: int = 32):
        self.engine, self.key, self.adapter, self.longest = engine, key, adapter, longest
        self._prefix: tuple[Asked, SharedPrefix | None] | None = None

    def take(self, engine: Engine | None) -> None:
        """Goes on with an engine, or leaves the one it has, and all that holds it."""
        self.engine, self._prefix = engine, None

    @property
    def ledger(self) -> Ledger:
        """What its engine has spent."""
        return self.engine.ledger if self.engine else Ledger()

    def repeats(self, answers: Answers) -> int:
        """See `Speaker`."""
        return 1

    def say(self, asked: Asked, keeps: np.ndarray, expected: Said | None) -> list[Said]:
        """See `Speaker`. Away: it is not loaded."""
        if self.engine is None:
            raise Away
        lm, text_of = self.engine.lm, self.engine.text
        framed, ids, parts = asked.framed(lm), expected.ids if expected else (), dict[int, int]()
        prompts = [tokenised(asked.kept(framed, keep), lm.tokenizer) for keep in keeps]
        if expected is None or getattr(lm.template, "reasons", False):  # then nothing is settled before its end
            asked = replace(asked, settled=None, other=None)

        def enough(i: int, tokens: Sequence[int]) -> bool:
            (text,) = text_of([tokens])
            if asked.over and asked.over(text):
                return True
            if asked.settled and asked.settled(text):
                parts[i] = SETTLED
            elif expected and asked.other and asked.other(text, expected.text):
                parts[i] = OTHER
            return i in parts

        answers = self.engine.generate(
            prompts,
            drafts=[ids] * len(prompts),
            adapter=self.adapter,
            max_new_tokens=self.longest,
            enough=enough if asked.over or asked.settled or asked.other else None,
            prefix=self._shared(asked, tokenised(framed, lm.tokenizer)) if expected or self.engine.slow else None,
        )
        said = zip(text_of(answers), answers, strict=True)
        return [Said(text, ids=own, part=parts.get(i, WHOLE)) for i, (text, own) in enumerate(said)]

    def _shared(self, asked: Asked, full: Prompt) -> SharedPrefix | None:
        """The whole prompt's keys and values, of the record that is asked last; None where they save nothing."""
        assert self.engine is not None
        if not pays(self.engine, full):
            return None
        if self._prefix is None or self._prefix[0].segments is not asked.segments:
            self._prefix = asked, SharedPrefix(self.engine, full, adapter=self.adapter)
        return self._prefix[1]


class Answers:
    """The answers of one speaker to one record, by keep-mask. folder: where they are kept; None: in memory alone.

    Masks are of the record's units, or of groups of them (`grouped`): each goes with all its units. Each mask is asked
    once, or where answers scatter (`repeats` above 1) once more for each time it is wanted.
    """

    def __init__(self, speaker: Speaker, asked: Asked, folder: Path | None = None):
        self.speaker, self.asked, self.whole = speaker, asked, "1" * asked.n
        name = json.dumps([speaker.key, [tuple(one) for one in asked.segments]])
        self.file = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.jsonl" if folder else None
        self.known, self.given = defaultdict[str, list[Said]](list), Counter[str]()
        for key, said in _kept(self.file, asked.decision) if self.file else ():
            if len(key) == asked.n:  # of the same units
                self.known[key] = [*_up_to(WHOLE, self.known[key]), said]
        self.groups, self.allowance = np.eye(asked.n, dtype=bool), Allowance()
        self.most = OTHER  # how far answers need be written at least
        self.repeats = speaker.repeats(self)

    @property
    def n(self) -> int:
        """What masks are of: units, or groups of them."""
        return len(self.groups)

    def grouped(self, groups: Sequence[Collection[int]]) -> Answers:
        """The same answers by masks of groups of what masks are of now."""
        found = copy.copy(self)
        found.groups = np.array([self.groups[list(group)].any(0) for group in groups])
        return found

    def read_as(self, parse: Callable[[str], str | None]) -> Answers:
        """The same answers, from the first of each mask, with another decision."""
        found = copy.copy(self)
        found.asked, found.given, found.most = replace(self.asked, parse=parse), Counter(), WHOLE
        found.__dict__.pop("decision", None)
        return found

    def within(self, characters: float) -> Answers:
        """The same answers, of prompts of so many characters more than was given: then BudgetSpent."""
        found = copy.copy(self)
        found.allowance = Allowance(characters, self.given)
        return found

    def __call__(self, keep: np.ndarray, *, part: int = WHOLE) -> list[Said]:
        """One answer a mask (m, n), written so far at least; those not known yet are asked together. Away: see `Local`.
        BudgetSpent: `within`"""
        keys, ahead, places = self._keys(keep), self.given.copy(), list[int]()
        for key in keys:
            places.append(ahead[key])
            ahead[key] += self.repeats > 1
        wanted = {key: place + 1 for key, place in zip(keys, places, strict=True)}
        self.allowance.take(wanted, lambda key: self.asked.length(_mask(key)))
        self.ask(wanted, part=part)
        self.given.update(Counter(keys) if self.repeats > 1 else ())
        return [self.known[key][place] for key, place in zip(keys, places, strict=True)]

    def _keys(self, keep: np.ndarray) -> list[str]:
        units = np.asarray(keep, bool) @ self.groups
        return [row.tobytes().decode() for row in units.astype(np.uint8) + ord("0")]

    def ask(self, wanted: Mapping[str, int], *, part: int = WHOLE) -> None:
        """Asks, together, until each mask of units has as many answers, written so far, as are wanted of it."""
        part = min(part, self.most)
        for key in wanted:
            self.known[key] = _up_to(part, self.known[key])
        if any(count > len(self.known[key]) for key, count in wanted.items()) and not self.known[self.whole]:
            self._say([self.whole], None)
        new = [key for key, count in wanted.items() for _ in range(count - len(self.known[key]))]
        if new:
            self._say(new, self.known[self.whole][0], part)

    def _say(self, keys: Sequence[str], expected: Said | None, part: int = WHOLE) -> None:
        masks, asked = np.array(list(map(_mask, keys))), self.asked
        if part < OTHER:
            asked = replace(asked, settled=asked.settled if part else None, other=None)
        found = list(zip(keys, self.speaker.say(asked, masks, expected), strict=True))
        if self.file:
            with open_itself(self.file, "a") as file:
                # on a line of its own, whatever a stop has left of the last one
                lines = (json.dumps([key, *one, asked.decision]) for key, one in found)
                file.writelines(f"\n{line}\n" for line in lines)
        for key, one in found:
            self.known[key].append(one)

    @property
    def full(self) -> Said:
        """The answer to all facts, the first that decides what most do."""
        decision = self.decision
        return next(one for one in self.known[self.whole] if self.asked.parse(one.text) == decision)

    @cached_property
    def decision(self) -> str | None:
        """What most of the first answers to all facts decide; None where they cannot be read. They prove nothing of it:
        where answers scatter, those that are given begin behind them."""
        first = min(self.repeats, AGAIN)
        self.ask({self.whole: first})
        if self.repeats > 1:
            self.given[self.whole] = max(self.given[self.whole], first)
        return self._most(self.known[self.whole][:first])

    def decisions(self, keep: np.ndarray) -> list[str | None]:
        """What is decided with some facts (m, n) alone, where answers scatter by most of them."""
        keys = self._keys(keep)
        self.ask(dict.fromkeys(keys, min(self.repeats, AGAIN)), part=SETTLED)
        return [self._most(self.known[key]) for key in keys]

    def _most(self, said: Sequence[Said]) -> str | None:
        return Counter(self.asked.parse(one.text) for one in said).most_common(1)[0][0]

    @property
    def unread(self) -> int:
        """How many of the answers so far cannot be read."""
        return sum(self.asked.parse(one.text) is None for said in self.known.values() for one in said)

    @property
    def count(self) -> int:
        """How many answers there are so far."""
        return sum(map(len, self.known.values()))


def _up_to(part: int, said: Sequence[Said]) -> list[Said]:
    return [one for one in said if one.part <= part]


def _mask(key: str) -> np.ndarray:
    return np.frombuffer(key.encode(), np.uint8) == ord("1")


class AnswerGame:
    """Keep-masks (m, n) -> values (m,), above 0 where the decision is kept; their size is the margin of the answer.

    unread: the sign of an answer that cannot be read: +1 where only another decision counts as changed, -1 where only
    the same one counts as kept.
    """

    def __init__(self, answers: Answers, *, unread: int):
        self.answers, self.unread = answers, unread

    @property
    def ledger(self) -> Ledger:
        """What the speaker has spent."""
        return self.answers.speaker.ledger

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """See the class."""
        answers = self.answers
        said = answers(keep, part=SETTLED if self.unread > 0 else OTHER)
        decided = [answers.asked.parse(one.text) for one in said]
        signs = [self.unread if one is None else 1 if one == answers.decision else -1 for one in decided]
        return np.array([sign * max(abs(one.margin), TIE) for sign, one in zip(signs, said, strict=True)])


def _kept(file: Path, decision: str) -> Any:
    """What a file keeps: whole answers, and of others those that were written as far as this decision needs. A last
    line that a stop has cut is passed over."""
    if not file.is_file():
        return
    for line in file.read_text("utf-8").splitlines():
        try:
            key, text, margin, ids, *more = json.loads(line)
            part, asked = more or (WHOLE, decision)
            if part == WHOLE or asked == decision:
                yield key, Said(text, float(margin), tuple(ids), part)
        except (ValueError, TypeError):
            continue
