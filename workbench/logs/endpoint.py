"""A model behind an OpenAI-compatible server: asked for greedy answers, within a budget, again where it is busy.

The key comes from the environment and goes into a header of each request, and nowhere else.
"""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from workbench.game import Engine
from workbench.logs.answers import AGAIN, Answers, Said
from workbench.logs.asked import Asked
from workbench.stats.games import BudgetSpent, Ledger

KEY = "WORKBENCH_API_KEY"  # of the environment
AT_ONCE = 4  # requests
ATTEMPTS, LONGEST_WAIT = 6, 30  # of one request; seconds between two
SECONDS = 300.0  # for one answer
NOISY = 25  # most asks of one prompt where answers scatter: proves sets where one answer in ten is another
REFUSED = {400, 404, 422, 501}  # of a server that gives no log-probabilities
BUSY = {408, 409, 425, 429, 500, 502, 503, 504}


class EndpointError(ValueError):
    """The server refuses, or answers otherwise than an OpenAI-compatible one does."""


def _passes(error: BaseException) -> bool:
    """Whether asking again may help."""
    status = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in BUSY
    return status or isinstance(error, httpx.TransportError)


class Served:
    """A served model, a `workbench.logs.answers.Speaker`. requests, tokens: the most that may be spent by all records
    together; None: no limit. repeats: most asks of one prompt; None: 1, or more where the first prompt, asked again, is
    answered in another way.

    Log-probabilities, where the server gives them, tell how close an answer was: they order the search, and prove
    nothing."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        longest: int = 32,
        requests: int | None = None,
        tokens: int | None = None,
        repeats: int | None = None,
    ):
        """EndpointError: no address of a server."""
        if not url.startswith(("http://", "https://")):
            raise EndpointError(f"the endpoint must be an address that begins with http:// or https://, not {url!r}")
        self.url, self.model, self.longest = url.rstrip("/"), model, longest
        self.requests, self.tokens, self.ledger = requests, tokens, Ledger()
        self.most = repeats
        self.told: dict[str, Any] = {"repeats": repeats, "log_probabilities": False}
        self.more: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
        self.key, self._lock = f"{self.url} {model} {longest}", threading.Lock()
        key = os.environ.get(KEY)
        self.client = httpx.Client(timeout=SECONDS, headers={"Authorization": f"Bearer {key}"} if key else {})

    def take(self, engine: Engine | None) -> None:
        """Nothing of it is on this machine."""

    def repeats(self, answers: Answers) -> int:
        """See `Speaker`. BudgetSpent, EndpointError: as `say`."""
        if self.most is None:
            answers.ask({answers.whole: AGAIN})
            different = len({one.text for one in answers.known[answers.whole]})
            self.most = 1 if different == 1 else NOISY
            self.told |= {"repeats": self.most, "asked_again": AGAIN, "different_answers": different}
        return self.most

    def say(self, asked: Asked, keeps: np.ndarray, expected: Said | None) -> list[Said]:
        """See `Speaker`. BudgetSpent: more would have to be asked than is left. EndpointError: see there."""
        left = None if self.requests is None else self.requests - self.ledger.rows
        if left is not None and len(keeps) > left:
            raise BudgetSpent(f"{len(keeps)} more requests would exceed the budget of {self.requests}; {left} are left")
        if self.tokens is not None and self.ledger.tokens >= self.tokens:
            raise BudgetSpent(f"the budget of {self.tokens} tokens is spent")
        texts = ["".join(s.text for s in asked.kept(asked.segments, keep)) for keep in keeps]
        self.ledger.calls += 1
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._answer, texts))

    def _answer(self, text: str) -> Said:
        order = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self.longest,
            "temperature": 0,
            "seed": 0,
        }
        started = time.perf_counter()
        try:
            told = self._told(order)
            said = told["choices"][0]["message"]["content"]
            margin = _margin(told["choices"][0].get("logprobs"))
            spent = int((told.get("usage") or {}).get("total_tokens", 0))
        except httpx.HTTPError as error:
            raise EndpointError(f"{self.url} gave no answer: {_reason(error)}") from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise EndpointError(f"{self.url} gave no answer that an OpenAI-compatible server gives") from None
        with self._lock:
            self.ledger += Ledger(rows=1, tokens=spent, seconds=time.perf_counter() - started)
            self.told["log_probabilities"] |= margin is not None
        return Said(said if isinstance(said, str) else "", 1.0 if margin is None else margin)

    def _told(self, order: dict[str, Any]) -> Any:
        """The server's answer, without log-probabilities where it will not hear of them."""
        try:
            return self._posted(order | self.more)
        except httpx.HTTPStatusError as error:
            if not self.more or error.response.status_code not in REFUSED:
                raise
            self.more = {}
            return self._posted(order)

    @retry(
        retry=retry_if_exception(_passes),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(max=LONGEST_WAIT),
        reraise=True,
    )
    def _posted(self, order: dict[str, Any]) -> Any:
        answer = self.client.post(f"{self.url}/chat/completions", json=order)
        answer.raise_for_status()
        return answer.json()


def _margin(told: Any) -> float | None:
    """The smallest lead of an answer's tokens over the next best, nats; None where the server does not tell it."""
    try:
        best = ([float(one["logprob"]) for one in token["top_logprobs"]] for token in told["content"])
        leads = [max(two) - min(two) for two in best if len(two) == 2]
    except (KeyError, TypeError, ValueError):
        return None
    return min(leads) if leads and math.isfinite(sum(leads)) else None


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        said = " ".join(error.response.text.split()).replace(os.environ.get(KEY) or "\0", "***")
        return f"status {error.response.status_code}, {said[:200]}"
    return f"{type(error).__name__} {error}"[:200]
