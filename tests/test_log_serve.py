"""`transformers serve` as the endpoint, where what it needs is installed: its sets are those of the model here."""

import os
import subprocess
import sys
import time

import httpx
import pytest
from log_speakers import written
from processes import free_port
from tiny import save_tiny
from transformers.utils.import_utils import is_serve_available

from workbench import explain_log

pytestmark = pytest.mark.skipif(not is_serve_available(), reason="needs fastapi, uvicorn and openai")
WORDS = ["samtools", "minimap2", "bwa", "reads", "writes", "BAM", "FASTQ", "PAF"]
PATIENCE = 180  # seconds to start


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama", words=[f" {word}" for word in WORDS])


@pytest.fixture(scope="module")
def address(model, tmp_path_factory):
    port = free_port()
    words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = tmp_path_factory.mktemp("serve") / "out.txt"
    with log.open("w") as out:
        command = [sys.executable, "-m", "transformers.cli.transformers", *words]
        server = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)


def _wait(server, url, log) -> None:
    for _ in range(PATIENCE):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    raise AssertionError(log.read_text()[-2000:])


def _sets(model) -> dict[tuple[int, ...], tuple[bool, str]]:
    return {tuple(one["facts"]): (one["certified"], one["to"]) for one in model["flips"]}


def test_transformers_serve_gives_the_answers_and_sets_of_the_model_here(model, address, tmp_path):
    facts = [[WORDS[i % 3], ("reads", "writes")[i % 2], WORDS[5 + i % 3]] for i in range(6)]
    rows = [{"question": f"What reads {WORDS[5 + i]}?", "facts": facts[i:] + facts[:i]} for i in range(3)]
    log = written(tmp_path / "log.jsonl", *rows)
    how = {"decision": "regex:(?s).+", "max_new_tokens": 6, "budget": 60}
    here = explain_log(log, model=str(model), out=tmp_path / "here", four_bit=False, **how)
    there = explain_log(log, model=str(model), out=tmp_path / "there", endpoint=address, **how)
    told = there.metrics["served"]["tuned"]
    assert told["repeats"] == 1 and told["different_answers"] == 1
    for one, two in zip(here.records, there.records, strict=True):
        a, b = one["models"]["tuned"], two["models"]["tuned"]
        assert one["state"] == two["state"] == "explained" and a["answer"] == b["answer"]
        assert a["alone"] == b["alone"] and a["decision"] == b["decision"] and a["memory"] == b["memory"]
        assert a["alone"] and _sets(a) == _sets(b)
