"""Figures in the documentation are those of the files that it names."""

import json
from pathlib import Path

import pytest

from workbench.models import shipped_adapters as shipped

ROOT = Path(__file__).parents[1]
README, GPU, ADAPTER = (
    (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/how-to/gpu.md", "docs/how-to/own-adapter.md")
)
FILES = [json.loads((ROOT / "bench" / f"gpu-h200{part}.json").read_text("utf-8")) for part in ("-trainings", "")]
MEASURED = {row["what"]: row for file in FILES for row in file["table"]}


def test_the_figures_of_a_gpu_are_those_of_its_file() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in GPU.splitlines() if line[:2] == "| "]
    told = [row for row in rows if row[0] in MEASURED]
    assert len(told) == 13
    for what, rate, share in told:
        row, (value, unit) = MEASURED[what], rate.split()
        assert unit == (row["unit"] or "s")
        assert float(value.replace(",", "")) == pytest.approx(row["rate"] or row["seconds"], rel=2e-3), what
        assert float(share or 0) == pytest.approx(row["share"] or row["ratio"] or 0, abs=6e-4), what


def test_the_figures_of_a_run_of_the_real_model_are_those_of_its_file() -> None:
    rows = json.loads((ROOT / "bench" / "smollm2-run.json").read_text("utf-8"))["table"]
    told = README[README.index("What to expect of `make run MODEL=smollm2`") : README.index("| model | parameters |")]
    tuned = [row for row in rows if "tuned" in row["what"]]
    assert len(tuned) == 7 and told.count("[0.") + told.count("[1.") == 8
    for row in tuned:
        assert f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in told and str(row["n"]) in told, row["what"]
    assert all((row["mean"], row["n"]) == (0, 2) for row in rows if "base" in row["what"]) and "[0.00, 0.66]" in told


def test_the_figures_of_the_shipped_adapter_are_those_of_its_card() -> None:
    card = shipped.card(shipped.shipped("whole"))
    exact = {(row["split"], row["share"]): row for row in card["scores"] if row["metric"] == "exact"}
    for split in ("held_out_sequences", "held_out"):
        a, b, c = (f"{exact[split, share]['mean']:.2f}" for share in (0.0, 0.3, 0.6))
        assert f"in {a}, {b} and {c}" in ADAPTER and f"(n = {exact[split, 0.0]['n']})" in ADAPTER
    tools = exact["held_out_tools", 0.0]
    assert f"{tools['mean']:.2f} with everything shown (n = {tools['n']})" in ADAPTER
    assert exact["showcase", 0.0]["mean"] == 1 and "the showcase is answered right" in ADAPTER
    training = card["training"]
    assert (
        f"in {training['seconds']:.0f} s on one {card['device']} ({training['rows_per_second']:.0f} rows/s)" in ADAPTER
    )
