"""Served models: a real server on this machine a real model behind it, busy or of another kind at times."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tenacity import wait_none
from tiny import save_tiny

from workbench import explain_log, models
from workbench.game import Engine
from workbench.logs.endpoint import KEY, EndpointError, Served
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
        with server.lock:
            text, tokens = server.answer(order["messages"][0]["content"], order["max_tokens"])
        told = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": tokens}}
        self._send(200, told if self.path == "/v1/chat/completions" else {"choices": []})

    def _send(self, status: int, told: dict) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama")


@pytest.fixture
def server(model, monkeypatch):
    engine = Engine(models.load(str(model), names={}))
    lm = engine.lm

    def answer(text: str, longest: int) -> tuple[str, int]:
        frame = [Segment(one, markup=True) for one in (lm.template.opening, lm.template.closing)]
        # facts as tokens of their own, as the local model is given them
        parts = [Segment(line) for line in text.splitlines(keepends=True)]
        prompt = tokenised([frame[0], *_joined(parts), frame[1]], lm.tokenizer)
        (said,) = engine.generate([prompt], max_new_tokens=longest)
        return lm.tokenizer.decode(list(said), skip_special_tokens=True), len(prompt.ids) + len(said)

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.lock, made.asked, made.keys, made.busy, made.answer = (
        threading.Lock(),
        [],
        set(),
        lambda count: count == 3,
        answer,
    )
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(Served._posted.retry, "wait", wait_none())
    monkeypatch.setenv(KEY, SECRET)
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def _joined(parts: list[Segment]) -> list[Segment]:
    """The lines around the facts in one piece each, as the default template writes them."""
    facts = [one for one in parts if one.text.startswith("- ")]
    after = "".join(one.text for one in parts[1 + len(facts) :])
    return [parts[0], *facts, Segment(after)]


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in LOG))
    return path


def _address(server: ThreadingHTTPServer, path: str = "/v1") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def test_a_served_model_gives_the_sets_of_the_same_model_here_and_is_asked_once(server, model, log, tmp_path):
    how = {"decision": "regex:(?s).+", "max_new_tokens": LONGEST, "budget": 30}
    here = explain_log(log, model=str(model), out=tmp_path / "here", **how)
    how |= {"model": "served", "endpoint": _address(server)}
    there = explain_log(log, out=tmp_path / "there", **how)
    for one, two in zip(here.records, there.records, strict=True):
        a, b = one["models"]["tuned"], two["models"]["tuned"]
        assert (a["answer"], a["decision"], a["alone"]) == (b["answer"], b["decision"], b["alone"])
        assert all(found["certified"] for found in b["flips"])
    texts = [json.dumps(order) for order in server.asked]
    assert len(texts) == len(set(texts)) + 1 and len(texts) > 9  # the one that was told to come again
    assert server.keys == {f"Bearer {SECRET}"}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    asked = len(server.asked)
    (tmp_path / "there" / "log" / "records.jsonl").unlink()  # to be made again, from what was kept
    assert explain_log(log, out=tmp_path / "there", **how).records == there.records and len(server.asked) == asked


def test_a_budget_a_refusal_and_a_server_of_another_kind_are_a_records_own_end(server, log, tmp_path):
    how = {"decision": "regex:(?s).+", "max_new_tokens": LONGEST, "model": "served"}
    few = explain_log(log, out=tmp_path / "few", endpoint=_address(server), requests=8, **how)
    assert sum(not server.busy(i + 1) for i in range(len(server.asked))) <= 8
    assert few.records[-1]["state"] == "failed" and "budget of 8" in few.records[-1]["why"]
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
