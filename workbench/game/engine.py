"""The engine: the one place that runs the model for every explainer, and books what it cost.

Two ways to remove facts: **delete** renders the prompt again without their lines (the truth); **gate** adds log k to
the attention scores of every other token onto the tokens of a fact with keep-degree k. Positions stay, gradients reach
k, and k = 0 equals deleting the tokens with positions preserved; see `workbench.game.gates`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from workbench.cases import Case
from workbench.game.decoding import WIDE, Decoders, Part, Past, Texts
from workbench.game.doses import dosed, rows_of
from workbench.game.gates import beneath, gate_mask
from workbench.game.memory import CPU_TOKENS, WAITING, Known, check_context, fitting, kept_tokens, room
from workbench.game.prefix import Heads, SharedPrefix
from workbench.models import ALONE_UP_TO, LanguageModel
from workbench.models.prompts import Prompt, encode, encode_answer
from workbench.stats.games import Ledger

Ids = Sequence[Sequence[int]]  # of tokens, a row an answer


@dataclass
class Engine:
    """Batched passes of one language model. batch_tokens: the most tokens, padding included, in one pass.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> engine = Engine(load(names=case.names))
        >>> ids = engine.answer_ids(case, case.path)
        >>> (logprobs,) = engine.logprobs([engine.prompt(case)], [ids])  # nats a token
        >>> len(logprobs) == len(ids)
        True
    """

    lm: LanguageModel
    batch_tokens: int = 8192
    ledger: Ledger = field(default_factory=Ledger)
    decoders: Decoders = field(default_factory=Decoders, repr=False, compare=False)
    known: Known = field(default_factory=Known, repr=False, compare=False)
    heads: Heads = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.heads = Heads(self)

    def prompt(self, case: Case, keep: np.ndarray | None = None) -> Prompt:
        """The case as tokens, without the facts whose keep (facts,) is False."""
        return encode(case, self.lm.template, self.lm.tokenizer, keep)

    def answer_ids(self, case: Case, path: Sequence[str]) -> tuple[int, ...]:
        """A node path as answer tokens, end-of-sequence included."""
        return encode_answer(case, path, self.lm.template, self.lm.tokenizer)

    def logits(
        self,
        prompts: Sequence[Prompt],
        answers: Ids,
        *,
        adapter: bool = True,
        gates: Sequence[torch.Tensor] | None = None,
        doses: Sequence[torch.Tensor] | torch.Tensor | None = None,
        prefix: SharedPrefix | None = None,
        read: Callable[[torch.Tensor], Any] | None = None,
    ) -> list[Any]:
        """Teacher-forced logits at the answer's positions: per row (len(answer), vocabulary), float32, one pass a row.

        gates: per row keep-degrees (facts,) in [0, 1], see `workbench.game.gates`. doses: per row factors on the
        adapter's update, (modules,) or (rank-one parts,), see `workbench.game.doses`. Gradients flow to both when they
        ask for it; a row with a gate at 0 is then passed twice. prefix: of the same model, without gates. read: what is
        kept of a row, not all its logits. ValueError: doses with the adapter off.
        """
        take = read if read and gates is None else torch.Tensor.float
        out: list[Any] = [None] * len(prompts)
        asked = any(x.requires_grad for given in (gates, doses) if given is not None for x in given)
        whole = [len(p.ids) + len(a) for p, a in zip(prompts, answers, strict=True)]
        if prefix:
            whole = room(self, [n - 1 for n in whole], list(map(prefix.shared, prompts)), held=len(prefix.prompt.ids))

        def ask(rows: list[int]) -> None:
            started = time.perf_counter()
            longest = max(len(answers[i]) for i in rows)
            fed = [prompts[i] for i in rows], [answers[i][:-1] for i in rows]
            how: dict = {"gates": gates and [gates[i] for i in rows], "logits_to_keep": longest}
            head = self.heads.of(fed[0], adapter=adapter, gated=gates is not None, given=prefix, doses=doses)
            with self.switched(adapter, rows_of(doses, rows)), torch.set_grad_enabled(asked):
                result, real = self.forward(*fed, **how, head=head, use_cache=False)
            for k, i in enumerate(rows):
                out[i] = take(result.logits[k, longest - len(answers[i]) :].float())
            if head and gates is None:
                self.heads.keep(fed[0], result.past_key_values, real, adapter=adapter, doses=doses)
            tokens = int(real.sum()) - (sum(map(head.shared, fed[0])) if head else 0)
            self.book(rows=len(rows), tokens=tokens, started=started)

        fitting(self, whole, ask)
        if gates is None:
            return out
        if rows := beneath(gates):  # those were held at the floor of gradients: their values are of a pass without
            some = [prompts[i] for i in rows], [answers[i] for i in rows]
            held = [gates[i].detach() for i in rows], None if doses is None else [doses[i].detach() for i in rows]
            exact = self.logits(*some, adapter=adapter, gates=held[0], doses=held[1])
            for i, value in zip(rows, exact, strict=True):
                out[i] = value + (out[i] - out[i].detach())
        return list(map(read, out)) if read else out

    def logprobs(self, prompts: Sequence[Prompt], answers: Ids, **how) -> list[torch.Tensor]:
        """Log-probability (nats) of every answer token: per row (len(answer),). `how` as in `logits`."""
        return [
            torch.log_softmax(z, -1).gather(1, torch.as_tensor(a, device=z.device)[:, None])[:, 0]
            for z, a in zip(self.logits(prompts, answers, **how), answers, strict=True)
        ]

    def forward(
        self, prompts: Sequence[Prompt], answers: Ids, *, gates: Any = None, head: SharedPrefix | None = None, **how
    ) -> tuple[CausalLMOutputWithPast, torch.Tensor]:
        """One pass over prompts, answers behind them, from where they part from the head, the model as it is switched:
        what it returns, and the mask (rows, width) of real tokens, the head's included. Padding stands before what is
        read. gates: as in `logits`, of facts behind the head. how: of the model; with a head its cache is used."""
        known = [head.shared(p) if head else 0 for p in prompts]
        past = max(known)  # what no row needs is not copied
        rows = [torch.tensor([*p.ids[k:], *a]) for p, a, k in zip(prompts, answers, known, strict=True)]
        pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True, padding_side="left")
        ids = pad(rows, padding_value=int(self.lm.tokenizer.pad_token_id)).to(self.lm.device)
        real = pad([torch.ones_like(row) for row in rows]).to(self.lm.device)
        shown = torch.tensor(known, device=ids.device)[:, None]
        held = (torch.arange(past, device=ids.device)[None] < shown).long()
        mask = seen = torch.cat([held, real], 1)
        if gates is not None:
            width = mask.shape[1]
            own = [[*p.fact[k:], *[-1] * len(a)] for p, a, k in zip(prompts, answers, known, strict=True)]
            facts = [[*[-1] * k, *[-2] * (width - k - len(one)), *one] for k, one in zip(known, own, strict=True)]
            seen = gate_mask(facts, gates, width, dtype=self.lm.model.dtype)[:, :, past:].to(ids.device)
        if head:
            how |= {"past_key_values": head.begun(prompts, past), "use_cache": True}
        positions = (real.cumsum(1) - 1 + shown).clamp(min=0)
        return self.lm.model(input_ids=ids, attention_mask=seen, position_ids=positions, **how), mask

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        drafts: Ids | None = None,
        adapter: bool = True,
        doses: Sequence[torch.Tensor] | torch.Tensor | None = None,
        max_new_tokens: int = 32,
        enough: Callable[[int, Sequence[int]], bool] | None = None,
        read: Callable[[int, torch.Tensor], None] | None = None,
        progress: Callable[[int], None] | None = None,
        prefix: SharedPrefix | None = None,
    ) -> list[tuple[int, ...]]:
        """Greedy continuations, without padding and end-of-sequence. doses: as in `logits`. prefix: of the same model.

        drafts: per row tokens that it may well begin with. They are read in the pass that reads the prompt, and as far
        as they are what greedy choice gives they need not be generated (Leviathan et al. 2023, section 2); with any
        draft the answers are the same. enough: called with a row's number and its tokens so far; True ends it there.
        read: called with a row's number and that pass's logits, (1 + len(draft), vocabulary) float32, for the first
        token and for that behind each token of the draft. progress: called with the rows done.
        """
        drafts = drafts or [()] * len(prompts)
        ends = {self.lm.tokenizer.eos_token_id, self.lm.tokenizer.pad_token_id}
        wide = WIDE if self.slow else 1
        texts = Texts([p.ids for p in prompts], drafts, self.decoders.written, ends, max_new_tokens, enough, wide)
        prefix = self.heads.of(prompts, adapter=adapter, given=prefix, doses=doses)
        known = [prefix.shared(p) if prefix else 0 for p in prompts]
        whole = [len(p.ids) + max(len(d) + 1, max_new_tokens) for p, d in zip(prompts, drafts, strict=True)]
        held = len(prefix.prompt.ids) if prefix else 0

        def write(rows: list[int]) -> None:
            started, parts, tokens = time.perf_counter(), list[Part](), 0
            unread = [len(prompts[i].ids) - known[i] for i in rows]
            for chosen in self.batches(unread) if self.slow else [range(len(rows))]:  # with little padding
                some = [rows[k] for k in chosen]
                fed = [prompts[i] for i in some], [drafts[i] for i in some]
                keep = 1 + max(map(len, fed[1]))
                with self.switched(adapter, rows_of(doses, some)):
                    result, real = self.forward(*fed, head=prefix, logits_to_keep=keep, use_cache=True)
                for k, i in enumerate(some):
                    said = result.logits[k, keep - 1 - len(drafts[i]) :]
                    texts.begin(i, said)
                    if read:
                        read(i, said.float())
                self.heads.keep(fed[0], result.past_key_values, real, adapter=adapter, doses=doses)
                tokens += int(real.sum()) - sum(known[i] for i in some)
                if going := {i: k for k, i in enumerate(some) if not texts.ended(i)}:
                    parts.append((Past(result.past_key_values, real), going))
            if left := [i for _, part in parts for i in part]:
                with self.switched(adapter, rows_of(doses, left)):
                    decoder = self.decoders.take(self.lm.model, parts, texts, alone=doses is not None)
                    tokens += decoder.write_on(texts, left)
            self.book(rows=len(rows), tokens=tokens, started=started)
            if progress:
                progress(len(rows))

        fitting(self, room(self, whole, known, held=held, passes=WAITING), write)
        self.decoders.learn(texts)
        return texts.whole()

    def answers(
        self, cases: Sequence[Case], *, keeps: Sequence[np.ndarray | None] | None = None, adapter: bool = True, **how
    ) -> list[tuple[str, ...]]:
        """The node paths the model answers with, greedily. keeps: per case a fact keep-mask (facts,) bool, or None."""
        return self.parsed(cases, self.written(cases, keeps=keeps, adapter=adapter, **how))

    def written(
        self, cases: Sequence[Case], *, keeps: Sequence[np.ndarray | None] | None = None, adapter: bool = True, **how
    ) -> list[str]:
        """What the model writes greedily, thoughts included, up to where nothing more can be named."""
        prompts = [self.prompt(c, k) for c, k in zip(cases, keeps or [None] * len(cases), strict=True)]
        over, said, ids = self.lm.template.over, self.decoders.said, [(adapter, case.id) for case in cases]
        drafts = [self.answer_ids(case, case.path)[:-1] for case in cases]  # the right answers, as a guess
        if self.slow:  # or what was written last of the case
            drafts = [said.get(key, draft) for key, draft in zip(ids, drafts, strict=True)]
        how |= {"drafts": drafts, "enough": lambda _, tokens: over(self.text([tokens])[0]), "adapter": adapter}
        answers = self.generate(prompts, **how)
        texts = self.text(answers)
        said |= {key: own[: -1 if over(text) else None] for key, own, text in zip(ids, answers, texts, strict=True)}
        return texts

    def text(self, answers: Iterable[Sequence[int]]) -> list[str]:
        """Token ids of answers as text."""
        return [self.lm.tokenizer.decode(list(ids), skip_special_tokens=True) for ids in answers]

    def parsed(self, cases: Sequence[Case], texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Written answers as node paths."""
        names = self.lm.ids
        return [self.lm.template.parse(c, text, names) for c, text in zip(cases, texts, strict=True)]

    def greedy_answers(
        self, cases: Sequence[Case], *, adapter: bool = True, max_new_tokens: int = 32
    ) -> list[tuple[int, ...]]:
        """Token ids of the greedy answers to the whole cases, end-of-sequence included where the model came to it."""
        drafts = [self.answer_ids(case, case.path)[:-1] for case in cases]
        prompts = [self.prompt(case) for case in cases]
        answers = self.generate(prompts, drafts=drafts, adapter=adapter, max_new_tokens=max_new_tokens)
        end = (int(self.lm.tokenizer.eos_token_id),)
        return [answer if len(answer) == max_new_tokens else answer + end for answer in answers]

    @contextlib.contextmanager
    def switched(self, adapter: bool, doses: torch.Tensor | None = None) -> Iterator[None]:
        """Runs its block with the adapter on or off, or on at doses (rows, units) for a batch of so many rows."""
        if doses is not None and not adapter:
            raise ValueError("doses scale the adapter, but adapter=False switches it off; leave one of the two out")
        with self.lm.adapter(adapter), dosed(self.lm.model, doses, as_they_are=self.slow):
            yield

    def backward(self, value: torch.Tensor, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Gradients of a scalar in `inputs`, booked as one backward pass."""
        started = time.perf_counter()
        slopes = torch.autograd.grad(value, list(inputs))
        self.ledger.backward_passes += 1
        self.ledger.seconds += time.perf_counter() - started
        return slopes

    def batches(self, lengths: Sequence[int], *, gradients: bool = False) -> list[list[int]]:
        """Row numbers in batches of like length, so that little is spent on padding.

        gradients: of passes that go back, which keep more. ContextError: a row is longer than the model's context.
        """
        check_context(self.lm.model, lengths)
        most = min(self.batch_tokens, CPU_TOKENS) if self.slow else self.batch_tokens
        if gradients and self.lm.device.type == "cpu":
            most = min(most, kept_tokens(self.lm.model.config, max(lengths, default=1)))
        batches: list[list[int]] = []
        for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            if batches and (len(batches[-1]) + 1) * lengths[i] <= most:
                batches[-1].append(i)
            else:
                batches.append([i])
        return batches

    @cached_property
    def slow(self) -> bool:
        """Whether tokens cost so much that none is read twice or for nothing: a large model on a processor."""
        return self.lm.device.type == "cpu" and self.lm.model.num_parameters() > ALONE_UP_TO

    def forget(self) -> None:
        """Gives back what is kept to be faster, and is large."""
        self.decoders.kept.clear()
        self.heads.known.clear()

    def book(self, *, rows: int, tokens: int, started: float) -> None:
        """Adds one model call that began at `started` (seconds of `time.perf_counter`) to the ledger."""
        self.ledger.calls += 1
        self.ledger.rows += rows
        self.ledger.tokens += tokens
        self.ledger.seconds += time.perf_counter() - started
