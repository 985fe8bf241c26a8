"""The mask explorer in a real browser, in JupyterLab."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui_browser import (
    ROOT,
    WAIT,
    Watch,
    browser_type_launch_args,
    check_access,
    expect,
    explorer,
    lab,
    needs_browser,
    picture,
    recomputed,
    run_notebook,
    watch,
)
from ui_run import HOSTILE, NAMES, OPEN, ui_run, write_notebook

__all__ = ["browser_type_launch_args", "ui_run", "watch"]

pytestmark = [pytest.mark.ui, needs_browser]


@pytest.fixture(scope="module")
def lab_url(tmp_path_factory: pytest.TempPathFactory, ui_run: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lab")
    root = folder / "notebooks"
    root.mkdir()
    write_notebook(root / "explore.ipynb", OPEN.format(run=str(ui_run)))
    write_notebook(root / "hostile.ipynb", HOSTILE.format(tests=str(ROOT / "tests"), names=NAMES))
    with lab(folder, root=root) as url:
        yield url


def opened(page, url: str, name: str):
    """The panel of a notebook in JupyterLab."""
    run_notebook(page, url, name)
    return explorer(page)


def test_sliders_recompute_cancel_and_errors_in_the_lab(lab_url: str, page, watch: Watch, tmp_path: Path) -> None:
    panel = opened(page, lab_url, "explore")
    recomputed(panel)
    panel.get_by_text("mask, model in the loop").click()
    recomputed(panel)
    panel.get_by_text("weights of the masks").click()
    bars, marker = panel.locator(".wb-table .wb-now").nth(2), panel.locator(".wb-marker")
    expect(marker).to_have_text("")
    before = bars.get_attribute("width")
    handle = panel.locator(".wb-weight-alpha .noUi-handle")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(marker).to_contain_text("other settings")
    expect(bars).not_to_have_attribute("width", before)
    check_access(page, ".wb-panel")
    expect(handle).to_have_attribute("aria-valuetext", panel.locator(".wb-weight-alpha .widget-readout").inner_text())
    picture(page, tmp_path, "lab")
    button, status = panel.locator("button.wb-recompute"), panel.locator(".wb-status")
    button.click()
    expect(button).to_have_text("running")
    expect(button).to_be_disabled()
    expect(status).to_contain_text(re.compile(r"step \d+ of 60"))
    panel.locator("button.wb-cancel").click()
    expect(status).to_contain_text("cancelled")
    expect(button).to_have_text("Recompute")
    expect(button).to_be_enabled()
    panel.locator(".wb-source input").fill("no such place")
    panel.locator("button.wb-ask").click()
    expect(panel.locator(".wb-asked")).to_contain_text("no source is called 'no such place'")
    panel.locator(".wb-source input").fill("NCBI Sequence Read Archive")
    panel.locator(".wb-target input").fill("SAM")
    panel.locator("button.wb-ask").click()
    expect(panel.locator(".wb-words")).to_contain_text(re.compile("The tuned model answers.*The base model answers"))
    expect(panel.locator(".wb-asked")).to_have_text("")
    panel.locator(".wb-chooser select").select_option(index=0)
    expect(marker).to_contain_text("other settings")


def test_a_state_is_saved_and_restored_in_a_new_page(lab_url: str, page, context, watch: Watch, tmp_path: Path) -> None:
    panel = opened(page, lab_url, "explore")
    panel.get_by_text("weights of the masks").click()
    panel.locator(".wb-weight-beta .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    panel.locator(".wb-prompt input[type=checkbox]").nth(2).uncheck()
    words = panel.locator(".wb-words")
    expect(words).to_contain_text("Taken out")
    expect(words).to_contain_text("base model")
    said = words.inner_text()
    panel.get_by_text("state: save, load, export").click()
    saved = panel.locator(".wb-saved textarea")
    expect(saved).to_have_value(re.compile(r'"beta": 0\.056'))
    state = saved.input_value()
    assert json.loads(state)["by_hand"]
    other = context.new_page()
    other.set_default_timeout(WAIT)
    second = Watch(other)
    fresh = opened(other, lab_url, "explore")
    fresh.get_by_text("state: save, load, export").click()
    expect(fresh.locator(".wb-saved textarea")).not_to_have_value(state)
    fresh.locator(".wb-saved textarea").fill(state)
    fresh.locator("button.wb-apply").click()
    expect(fresh.locator(".wb-words")).to_have_text(said)
    expect(fresh.locator(".wb-saved textarea")).to_have_value(state)
    expect(fresh.locator(".wb-weight-beta .widget-readout")).to_have_text("0.0561")
    fresh.locator("button.wb-export").click()
    expect(fresh.locator(".wb-links a[download]")).to_have_count(4)
    second.check()


def test_names_that_mean_harm_are_shown_and_run_nothing(lab_url: str, page, watch: Watch, tmp_path: Path) -> None:
    panel = opened(page, lab_url, "hostile")
    panel.locator(".wb-prompt input:checked").first.uncheck()
    expect(panel.locator(".wb-words")).to_contain_text("Taken out")
    expect(panel.locator(".wb-prompt")).to_contain_text("<img")
    expect(panel.locator(".wb-drawing .wb-title")).to_contain_text("<img")
    expect(panel.locator(".wb-spot").first).to_have_attribute("aria-label", re.compile(r"<img|javascript"))
    panel.get_by_text("state: save, load, export").click()
    panel.locator("button.wb-export").click()
    expect(panel.locator(".wb-links a")).to_have_count(4)
    assert panel.locator("img, script, iframe").count() == 0
    assert panel.locator("a:not([download])").count() == 0
    assert panel.locator("a[href^='javascript']").count() == 0
    assert "\u202e" not in panel.inner_text()
    picture(page, tmp_path, "hostile")
