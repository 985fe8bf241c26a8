"""The graph and the shift explorer, and the training view, in JupyterLab, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui_browser import (
    ROOT,
    Watch,
    browser_type_launch_args,
    check_access,
    expect,
    lab,
    names_of,
    needs_browser,
    press,
    run_notebook,
    watch,
)
from ui_run import write_notebook

__all__ = ["browser_type_launch_args", "watch"]

pytestmark = [pytest.mark.ui, needs_browser]

GRAPH = """
import sys
sys.path.insert(0, {tests!r})
from test_panel_graph import HOSTILE, graph
from workbench.panel.graph import GraphPanel
GraphPanel(graph(HOSTILE))
"""
SHIFT = """
import sys
sys.path.insert(0, {tests!r})
from dosed_models import tiny
from test_panel_shift import CASE, elements
from workbench.game import Engine
from workbench.panel.shift import ShiftPanel
ShiftPanel(Engine(tiny()), [CASE], elements=elements([CASE]))
"""
GUESS = """
import sys
sys.path.insert(0, {tests!r})
import explain_cases as small
from IPython.display import display
from workbench import lesson
display(lesson.chain_map("explain"))
lesson.Prediction(small.engine(), small.cases())
"""
TRAINING = """
import sys, tempfile
sys.path.insert(0, {tests!r})
from pathlib import Path
from tiny import NAMES, chain_case, save_tiny
from workbench import models
from workbench.panel.training import TrainingView, by_hand
from workbench.train import TrainConfig, train
place = Path(tempfile.mkdtemp())
lm = models.load(str(save_tiny(place / "model", "llama")), names=NAMES)
view = TrainingView(steps=100_000)
view.display()
config = TrainConfig(rank=4, alpha=8, steps=100_000, batch=2)
view.finish(train(lm, [chain_case()], config, folder=place / "adapter", show=view, stoppable=by_hand()))
print(sorted(path.name for path in (place / "adapter").iterdir()))
"""


@pytest.fixture(scope="module")
def lab_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lab")
    root = folder / "notebooks"
    root.mkdir()
    for name, code in {"graph": GRAPH, "shift": SHIFT, "guess": GUESS, "training": TRAINING}.items():
        write_notebook(root / f"{name}.ipynb", code.format(tests=str(ROOT / "tests")))
    with lab(folder, root=root) as url:
        yield url


def opened(page, url: str, name: str):
    run_notebook(page, url, name)
    panel = page.locator(".wb-panel")
    expect(panel.locator(".wb-graph .wb-spot").first).to_be_visible()
    return panel


def test_searching_and_clicking_walk_through_the_graph(lab_url: str, page, watch: Watch, tmp_path: Path) -> None:
    panel = opened(page, lab_url, "graph")
    expect(panel.locator(".wb-shown")).to_contain_text("showing 9 of 9 nodes")
    panel.locator(".wb-search input").fill("align")
    expect(panel.locator(".wb-hits select option")).to_have_count(4)
    panel.locator(".wb-hits select").select_option(index=0)
    expect(panel.locator(".wb-shown")).to_contain_text("within 1 step of <img")
    press(page, panel.locator(".wb-spot[data-key='1']"))
    expect(panel.locator(".wb-shown")).not_to_contain_text("of <img src=x onerror=alert(1)> $x$ %{y}align")
    node = panel.locator(".wb-spot[tabindex='0']")
    node.focus()
    expect(panel.locator(".wb-tip")).to_contain_text("facts in")
    page.keyboard.press("ArrowLeft")  # to a fact, and over it to a node
    page.keyboard.press("ArrowLeft")
    other = panel.locator(".wb-face :focus")
    expect(other).not_to_have_attribute("data-key", "0")
    said = other.get_attribute("aria-label")
    page.keyboard.press("Enter")
    expect(panel.locator(".wb-spot[data-key='0']")).to_have_attribute("aria-label", said)
    names = names_of(panel)
    assert names["out"] == 0 and names["least"] >= 11, names
    expect(panel.locator(".wb-status")).to_have_text("")
    assert panel.locator("img").count() == 0
    check_access(page, ".wb-panel")
    page.screenshot(path=tmp_path / "graph.png", full_page=True)


def test_dose_switch_and_element_are_reached_by_keyboard(lab_url: str, page, watch: Watch, tmp_path: Path) -> None:
    panel = opened(page, lab_url, "shift")
    expect(panel.locator(".wb-words")).to_contain_text("At dose 1 ")
    panel.locator(".wb-dose .noUi-handle").press("ArrowLeft")
    expect(panel.locator(".wb-words")).to_contain_text("At dose 0.95 ")
    module = panel.locator("button.wb-module-2")
    expect(module).to_have_attribute("aria-pressed", "false")
    module.press("ArrowDown")
    expect(panel.locator("button.wb-module-3")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(panel.locator(".wb-words")).to_contain_text("1 of 4 modules off")
    expect(module).to_have_attribute("aria-label", re.compile("layer 1, q_proj, off"))
    press(page, panel.locator(".wb-spot[data-key='2']"))
    expect(panel.locator(".wb-picked")).to_contain_text("attention")
    expect(panel.locator(".wb-spot[data-key='2']")).to_have_attribute("aria-current", "true")
    check_access(page, ".wb-panel")
    page.screenshot(path=tmp_path / "shift.png", full_page=True)


def test_a_guess_is_marked_and_scored_over_cases(lab_url: str, page, watch: Watch, tmp_path: Path) -> None:
    run_notebook(page, lab_url, "guess")
    panel, drawn = page.locator(".wb-panel"), page.locator("svg.wb-map")
    expect(drawn).to_have_attribute("aria-label", re.compile("This notebook is explanation"))
    lines = panel.locator(".wb-line input")
    expect(lines).to_have_count(5)
    lines.nth(1).uncheck()
    expect(panel.locator(".wb-line.wb-removed")).to_have_count(1)
    panel.get_by_role("button", name="Score").click()
    scored = panel.locator(".wb-scored")
    expect(scored).to_contain_text("you: 1 fact marked")
    panel.locator("select").select_option(index=1)
    expect(lines).to_have_count(7)
    panel.get_by_role("button", name="Score").click()
    expect(scored.locator("tr").filter(has_text="you").locator("td").first).to_have_text("2")
    check_access(page, ".wb-panel")
    page.screenshot(path=tmp_path / "guess.png", full_page=True)


def test_the_square_of_the_lab_stops_a_training_and_leaves_an_adapter(
    lab_url: str, page, watch: Watch, tmp_path: Path
) -> None:
    run_notebook(page, lab_url, "training")
    said = page.locator(".jp-OutputArea-output [role=status]")
    expect(said).to_contain_text("tokens a second")  # some steps are done
    check_access(page, ".jp-OutputArea")
    page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    expect(said).to_contain_text("stopped before step 100,000")
    expect(page.locator(".jp-OutputArea-output pre")).to_contain_text("adapter_model.safetensors")
    page.screenshot(path=tmp_path / "training.png", full_page=True)
