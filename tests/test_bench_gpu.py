"""The GPU's benchmark on a processor: what it measures, what becomes of a part that fails or takes too long."""

import json
import time

import numpy as np
import pytest

from workbench import models
from workbench.hands.bench import gpu
from workbench.hands.bench.gpu.rates import searched, step_rates
from workbench.hands.bench.gpu.shared import TINY, Bench
from workbench.hands.bench.gpu.subject import Subject, random_lm, tiny_config
from workbench.hands.cli import main, output


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    """The small model with its adapter."""
    made = Bench(quick=True, seed=0, folder=tmp_path_factory.mktemp("gpu"))
    names = made.world.names
    lm = random_lm(tiny_config(), names, name="random", folder=made.folder, seed=0)
    made.subject = Subject(lm, made.world, facts=TINY.facts)
    made.subject.adapt(seed=0)
    return made


@pytest.mark.slow
def test_one_command_measures_every_part_and_its_figures_belong_together(tmp_path):
    file = tmp_path / "gpu.json"
    assert main(["bench", "gpu", "--out", str(file), "--tiny", "--seconds", "600"]) == 0
    result = json.loads(file.read_text())
    parts = {name: part["rows"] for name, part in result["parts"].items()}
    assert parts.keys() == gpu.PARTS.keys() and not any(part["errors"] for part in result["parts"].values())
    assert len(result["table"]) == sum(map(len, parts.values())) and result["machine"]["cores"] and result["versions"]
    shape, card = parts["model"][0], parts["card"][1]["rate"]
    assert parts["card"][0]["versions"]["bitsandbytes"] and shape["facts"] == TINY.facts
    for part, flop in (("rows", 2), ("gates", 4)):
        for row in parts[part]:
            assert row["rate"] == pytest.approx(row["rows"] / row["seconds"])
            assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])
            assert row["tflops"] == pytest.approx(flop * shape["parameters"] * row["tokens"] / row["seconds"] / 1e12)
            assert row["share"] == pytest.approx(row["tflops"] / card)
            assert row["share_of_matrices"] / row["share"] == pytest.approx(shape["matrices"] / shape["parameters"])
    assert {row["weights"] for row in parts["rows"]} == {"4-bit", "held"}
    assert len({row["tokens"] for row in parts["rows"]}) == 1
    for row in parts["generation"]:
        assert row["tokens"] == row["rows"] * TINY.new_tokens and row["rate"] == row["tokens"] / row["seconds"]
    for row in parts["decisions"]:
        assert row["rate"] == row["decisions"] / row["seconds"] and row["rows_a_decision"] >= 1
        assert row["ratio"] == pytest.approx(row["rate"] / (row["decisions"] / row["rows_seconds"]))
    assert all(row["certified"] and row["right"] for row in parts["certified"])
    plain = parts["qlora"][0]["rate"]
    for row in (*parts["qlora"], *parts["smollm2"]):
        assert len(row["steps"]) == TINY.steps - 1
        steady = [step["tokens"] / step["seconds"] for step in row["steps"][TINY.unsteady :]]
        assert row["rate"] == pytest.approx(np.median(steady)) and row["n"] == len(steady)
        assert row["rows_per_second"] == pytest.approx(row["rate"] / row["tokens_a_row"])
        assert row["ratio"] == (pytest.approx(row["rate"] / plain) if row in parts["qlora"] else None)


def test_a_part_that_fails_and_one_that_does_not_end_leave_the_others_their_turn(tmp_path, monkeypatch):
    file = tmp_path / "gpu.json"

    def good(_bench):
        yield "first", lambda: {"rate": 2.0, "unit": "rows/s"}

    def half(_bench):
        yield "whole", lambda: {"seconds": 1.0}
        yield "broken", lambda: {"seconds": 1 / 0}
        yield "no number", lambda: {"seconds": float("nan")}
        yield "after it", lambda: {"seconds": 3.0}
        raise RuntimeError("and the part itself")

    def endless(_bench):
        while True:
            yield "long", lambda: time.sleep(0.5) or {"seconds": 0.5}

    def last(_bench):
        yield "written so far", lambda: {"seen": json.loads(file.read_text())["parts"]}

    steps = {"good": (good, 9), "half": (half, 9), "endless": (endless, 2), "last": (last, 50)}
    monkeypatch.setattr(
        gpu, "PARTS", {name: gpu.Part(one, weight, of_8b=False) for name, (one, weight) in steps.items()}
    )
    started = time.monotonic()
    assert main(["bench", "gpu", "--json", str(file), "--quick", "--seconds", "70"]) == 0
    assert time.monotonic() - started < 60
    result = json.loads(file.read_text())
    parts = result["parts"]
    assert [row["what"] for row in parts["half"]["rows"]] == ["whole", "after it"]
    said = [(one["what"], one["error"]) for one in parts["half"]["errors"]]
    assert said[0] == ("broken", "ZeroDivisionError: division by zero") and "nan" in said[1][1]
    assert said[2] == ("after it", "RuntimeError: and the part itself")
    assert "ZeroDivisionError" in parts["half"]["errors"][0]["trace"][-1]
    assert parts["endless"]["errors"][0]["error"].startswith("OutOfTime") and parts["endless"]["rows"]
    seen = parts["last"]["rows"][0]["seen"]
    assert seen["good"] == parts["good"] and seen["half"] == parts["half"] and not parts["last"]["errors"]
    first = {"part": "good", "what": "first", "rate": 2, "unit": "rows/s"}
    assert result["table"][0] == dict.fromkeys(gpu.COLUMNS) | first


def test_without_a_model_only_what_needs_it_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.hands.bench.gpu.random_lm", lambda *_, **__: 1 / 0)
    figures = gpu.run(run_dir=tmp_path, quick=True, seed=0, say=lambda line: None, parts=["gates"])
    assert list(figures["parts"]) == ["card", "model", "gates"] and len(figures["parts"]["card"]["rows"]) == 3
    assert "ZeroDivisionError" in figures["parts"]["model"]["errors"][0]["error"]
    assert all("see what the part `model` says" in one["error"] for one in figures["parts"]["gates"]["errors"])


def test_the_random_model_is_quantised_and_adapted_as_a_loaded_one_is(bench):
    lm = bench.model.lm
    layer = models.base_of(lm.model).model.layers[0]
    query = layer.self_attn.q_proj
    assert query.base_layer.weight.quant_state.nested and query.lora_B.default.weight.any()
    assert layer.mlp.up_proj.weight.quant_type == "nf4" and not layer.mlp.up_proj.support_avx512bf16_for_cpu
    config = tiny_config()
    matrices = 2 * (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 256)
    assert bench.model.matrices == matrices
    assert bench.model.parameters == matrices + 2 * config.vocab_size * 128 + 5 * 128
    prompts, answer, tokens = bench.asked(np.ones((3, TINY.facts), bool))
    assert tokens == 3 * (len(prompts[0].ids) + len(answer) - 1) and abs(len(answer) - 28) <= 4
    assert set(prompts[0].fact) == set(range(-1, TINY.facts))


def test_weights_are_held_and_let_go_and_say_the_same(bench):
    prompts, answer, _ = bench.asked(bench.masks(2))
    said = []
    for on in (False, True, False):
        assert bench.model.hold(on) == ("held" if on else "4-bit")
        held = ["forward" in vars(m) for m in bench.model.lm.model.modules() if hasattr(m, "quant_state")]
        assert held and all(one == on for one in held)
        said.append(bench.engine().logprobs(prompts, [answer] * 2))
    assert all(np.allclose(a, b, atol=1e-5) for other in said[1:] for a, b in zip(said[0], other, strict=True))


def test_a_search_computes_the_rows_of_every_mask_that_it_asks(bench):
    asked = []
    engine = bench.engine
    bench.engine = lambda *given: asked.append(engine(*given)) or asked[-1]
    try:
        row = searched(bench, "flip")
    finally:
        del bench.engine
    rows = sum(one.ledger.rows for one in asked)
    assert row["certified"] and row["right"] and row["n"] == TINY.searches
    assert rows >= TINY.elements + sum(row["masks"]) > 0 and len(row["asks"]) == TINY.searches


def test_the_rate_of_a_training_is_the_median_of_its_steps():
    steps = [{"seconds": s, "tokens": t} for s, t in ((1.0, 100), (2.0, 100), (0.5, 100))]
    row = step_rates(steps, a_row=10.0)
    assert (row["rate"], row["rows_per_second"], row["rate_low"], row["rate_high"]) == (100, 10, 50, 200)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gpu", "--parts", "rows,nothing"], "bench gpu has no part nothing; there are card, model, rows"),
        (["gpu", "--seconds", "0"], "seconds must be above 0, not 0.0"),
        (["planted", "--parts", "rows"], "--parts is an option of bench gpu; leave it out for bench planted"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, capsys, words, said):
    assert main(["bench", *words, "--json", str(tmp_path / "f.json")]) == output.REFUSED
    assert said in " ".join(capsys.readouterr().err.split()) and not list(tmp_path.iterdir())
