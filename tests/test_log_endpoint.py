"""Served models: a real server on this machine a real model behind it, busy or of another kind at times."""

import itertools
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from log_speakers import written
from tenacity import wait_none

from workbench import explain_log, models
from workbench.game import Engine
from workbench.hands.report.write import write_report
from workbench.hands.sweep.log_records import settled, streamed
from workbench.logs.answers import AGAIN
from workbench.logs.endpoint import KEY, NOISY, EndpointError, Served
from workbench.models.prompts import Segment, tokenised

LONGEST, SECRET = 5, "sk-very-secret"
LOG = [{"question": f"q {i}", "facts": [f"fact {i}{j}" for j in range(4)]} for i in range(3)]


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's model; the third request of all is told to come again."""

    def log_message(self, *_words: object) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:  # one model, one pass at a time
            server.asked.append(order)
            server.keys.add(self.headers.get("Authorization"))
            count, busy = len(server.asked), server.busy
        if busy(count):
            self._send(429, {"error": f"come again, {self.headers.get('Authorization')}"})
            return
        if server.refuses & order.keys():
            self._send(422, {"error": "unknown field"})
            return
        with server.lock:
            text, tokens, leads = server.answer(order["messages"][0]["content"], order["max_tokens"])
        told = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": tokens}}
        if leads and order.get("logprobs"):
            content = [{"top_logprobs": [{"logprob": -0.5}, {"logprob": -0.5 - lead}]} for lead in leads]
            told["choices"][0]["logprobs"] = {"content": content}
        self._send(200, told if self.path == "/v1/chat/completions" else {"choices": []})

    def _send(self, status: int, told: dict) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def serving(monkeypatch):
    """Starts the server of a rule f(text, tokens) -> answer, tokens spent, leads of its tokens."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.lock, made.asked, made.keys, made.refuses = threading.Lock(), [], set(), set()
    made.busy = lambda count: count == 3
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(Served._posted.retry, "wait", wait_none())
    monkeypatch.setenv(KEY, SECRET)

    def start(answer) -> ThreadingHTTPServer:
        made.answer = answer
        made.how = {"model": "m", "endpoint": _address(made), "decision": "yesno"}
        return made

    yield start
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def server(model, serving):
    engine = Engine(models.load(str(model), names={}))
    lm = engine.lm

    def answer(text: str, longest: int) -> tuple[str, int, list[float]]:
        frame = [Segment(one, markup=True) for one in (lm.template.opening, lm.template.closing)]
        # facts as tokens of their own, as the local model is given them, and the lines around them in one piece each
        before, *lines = text.splitlines(keepends=True)
        facts = [line for line in lines if line.startswith("- ")]
        parts = map(Segment, (before, *facts, "".join(lines[len(facts) :])))
        prompt = tokenised([frame[0], *parts, frame[1]], lm.tokenizer)
        (said,) = engine.generate([prompt], max_new_tokens=longest)
        return lm.tokenizer.decode(list(said), skip_special_tokens=True), len(prompt.ids) + len(said), []

    return serving(answer)


@pytest.fixture
def log(tmp_path) -> Path:
    return written(tmp_path / "log.jsonl", *LOG)


def _address(server: ThreadingHTTPServer, path: str = "/v1") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def test_a_served_model_gives_the_sets_of_the_same_model_here_and_is_asked_once(server, model, log, tmp_path):
    how = {"decision": "regex:(?s).+", "max_new_tokens": LONGEST, "budget": 30}
    here = explain_log(log, model=str(model), out=tmp_path / "here", **how)
    how |= {"model": "served", "endpoint": _address(server)}
    there = explain_log(log, out=tmp_path / "there", **how)
    for one, two in zip(here.records, there.records, strict=True):
        a, b = one["models"]["tuned"], two["models"]["tuned"]
        same = "answer", "decision", "without_any", "alone", "flips", "breaks", "sufficient"
        assert {name: a[name] for name in same} == {name: b[name] for name in same}
        assert all(found["certified"] for found in b["flips"])
    texts = [json.dumps(order) for order in server.asked]
    again = 1 + (AGAIN - 1)  # the one that was told to come again, and the first, asked to see whether answers scatter
    assert len(texts) == len(set(texts)) + again and len(texts) > 9
    told = {"repeats": 1, "log_probabilities": False, "asked_again": AGAIN, "different_answers": 1}
    assert there.metrics["served"] == {"tuned": told}
    assert server.keys == {f"Bearer {SECRET}"}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    asked = len(server.asked)
    (tmp_path / "there" / "log" / "records.jsonl").unlink()  # to be made again, from what was kept
    assert explain_log(log, out=tmp_path / "there", **how).records == there.records and len(server.asked) == asked


def test_a_budget_a_refusal_and_a_server_of_another_kind_are_a_records_own_end(server, log, tmp_path):
    how = {"decision": "regex:(?s).+", "max_new_tokens": LONGEST, "model": "served"}
    few = explain_log(log, out=tmp_path / "few", endpoint=_address(server), requests=12, **how)
    assert sum(not server.busy(i + 1) for i in range(len(server.asked))) <= 12
    assert few.records[-1]["state"] == "failed" and "budget of 12" in few.records[-1]["why"]
    server.busy = lambda count: True
    refused = explain_log(log, out=tmp_path / "refused", endpoint=_address(server), **how)
    assert {one["state"] for one in refused.records} == {"failed"}
    assert "status 429, {" in refused.records[0]["why"] and SECRET not in refused.records[0]["why"]
    server.busy = lambda count: False
    other = explain_log(log, out=tmp_path / "other", endpoint=_address(server, "/v2"), **how)
    assert "gave no answer that an OpenAI-compatible server gives" in other.records[0]["why"]
    for bad in ({"decision": "chain"}, {"adapter": tmp_path}):
        with pytest.raises(ValueError, match="a served model takes no"):
            explain_log(log, out=tmp_path / "bad", endpoint=_address(server), **(how | bad))
    with pytest.raises(EndpointError, match="must be an address"):
        Served("file:///etc/passwd", "m")


def test_of_records_with_a_decision_of_their_own_a_chain_alone_is_refused(serving, tmp_path):
    rows = [{"question": "q?", "facts": ["a"], "decision": name} for name in ("yesno", "chain", "yesno")]
    log = written(tmp_path / "log.jsonl", *rows)
    server = serving(lambda text, _longest: ("yes" if "- a" in text else "no", 9, []))
    found = explain_log(log, out=tmp_path / "a", **server.how | {"decision": "record"})
    assert [one["state"] for one in found.records] == ["explained", "refused", "explained"]
    assert "be other than 'chain' for a served model" in found.records[1]["why"]


def _facts(tmp_path, count: int) -> Path:
    return written(tmp_path / "log.jsonl", {"question": "q?", "facts": [f"fact {i}." for i in range(count)]})


def _shown(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"fact (\d+)\.", text)}


def test_log_probabilities_order_the_search_and_prove_nothing(serving, tmp_path):
    """The answer hangs on facts 11 and 23 together; its tokens' lead is smaller where one of them is gone."""

    def rule(text, _longest):
        left = len({11, 23} & _shown(text))
        return "yes" if left else "no", 9, [3.0, 1.0 + left] if told else []

    server, found = serving(rule), {}
    for name in ("told", "not", "refused"):
        told = name != "not"
        server.asked.clear()
        server.refuses = {"logprobs"} if name == "refused" else set()
        one = explain_log(_facts(tmp_path, 30), out=tmp_path / name, **server.how)
        (flip,) = one.records[0]["models"]["tuned"]["flips"]
        assert flip["certified"] and sorted(flip["facts"]) == [11, 23]
        assert one.metrics["served"]["tuned"]["log_probabilities"] == (name == "told")
        found[name] = len(server.asked)
    assert found["told"] < found["not"] <= found["refused"]


def test_a_server_that_answers_the_same_prompt_differently_is_asked_until_a_set_is_proved(serving, tmp_path):
    """Of each prompt's answers every tenth is the other one: the sets are those of the rule, and are certified."""
    asks = Counter()

    def rule(text, _longest):
        asks[text] += 1
        kept = {0, 3} <= _shown(text)
        return ("yes" if kept != (asks[text] % 10 == 4) else "no"), 9, []

    server = serving(rule)
    path, how = _facts(tmp_path, 5), {**server.how, "budget": 4000, "repeats": NOISY}
    found = explain_log(path, out=tmp_path / "a", **how)
    one = found.records[0]["models"]["tuned"]
    assert one["decision"] == "yes" and one["asked"] > NOISY
    assert len(one["flips"]) == 1 and one["flips"][0]["certified"] and set(one["flips"][0]["facts"]) <= {0, 3}
    assert one["sufficient"]["certified"] and sorted(one["sufficient"]["facts"]) == [0, 3]
    asked = len(server.asked)
    (tmp_path / "a" / "log" / "records.jsonl").unlink()
    assert explain_log(path, out=tmp_path / "a", **how).records == found.records
    assert len(server.asked) == asked  # what was answered is given again in the same order


def test_whether_answers_scatter_is_found_out_on_the_first_prompt(serving, tmp_path):
    turns = itertools.count()

    def rule(text, _longest):
        return f"yes, {next(turns)}" if _shown(text) else "no", 9, []

    server = serving(rule)
    found = explain_log(_facts(tmp_path, 2), out=tmp_path / "a", **server.how)
    told = found.metrics["served"]["tuned"]
    assert (told["repeats"], told["asked_again"], told["different_answers"]) == (NOISY, AGAIN, AGAIN)
    assert found.records[0]["models"]["tuned"]["flips"][0]["certified"]
    page = write_report(found.folder).read_text("utf-8")
    assert f"asked {AGAIN} times, in {AGAIN} ways: prompts were asked up to {NOISY} times" in page


def test_whether_answers_scatter_is_found_out_once_for_all_workers(serving, scheduler, tmp_path):
    """Only the first prompt that can be asked is answered in several ways: the worker of the others could not tell."""
    turns = itertools.count()

    def rule(text, _longest):
        return (f"yes, {next(turns) if 'q 0' in text else 0}" if "fact" in text else "no"), 9, []

    server = serving(rule)
    server.busy = lambda count: False
    rows = [{"question": "q?"}, *({"question": f"q {i}?", "facts": ["fact"]} for i in range(9))]
    path, asked = written(tmp_path / "log.jsonl", *rows), []

    def through(folder, lines, who, config, **how):
        found = settled(lines, who, config)
        asked.append(len(server.asked))
        assert found[0]["repeats"] == NOISY and who["repeats"] is None
        return streamed(folder, lines, who, config, scheduler=scheduler, **how)

    found = explain_log(path, out=tmp_path / "a", through=through, **server.how)
    told = found.metrics["served"]["tuned"]
    assert asked == [AGAIN] and len({json.dumps(order) for order in server.asked[: 2 * AGAIN]}) == 1
    assert (told["repeats"], told["asked_again"], told["different_answers"]) == (NOISY, AGAIN, AGAIN)
    sets = [one for row in found.records[1:] for one in row["models"]["tuned"]["flips"]]
    assert len(sets) == 9 and all(one["certified"] and one["confidence"] == 0.95 for one in sets)
