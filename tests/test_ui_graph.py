"""A graph's drawing by itself in a real browser, without a kernel: as many nodes as the explorer shows at its start."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui_browser import drawn, expect, names_of, needs_browser, press, watched

from workbench.hands.panel.graph import AT_MOST, GraphPanel
from workbench.hands.panel.parts import STATIC, Graph
from workbench.kg import load_graph

pytestmark = [pytest.mark.ui, needs_browser]
PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><style>{style}</style>
<div class="wb-panel"><div id="here"></div></div>
<script type="module">{script}
window.sent = [];
const model = {{ get: () => ({drawing}), on() {{}}, off() {{}}, send: (message) => window.sent.push(message) }};
widget.render({{ model, el: document.getElementById("here") }});
</script>"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    drawing = GraphPanel(load_graph("biotoolkg").graph).view.graph.part.drawing
    assert len(drawing["spots"]) == AT_MOST
    script = str(Graph._esm).replace("export default {", "const widget = {")
    style = (STATIC / "panel.css").read_text("utf-8")
    file = Path(tmp_path_factory.mktemp("graph") / "graph.html")
    shown = json.dumps(drawing).replace("<", "\\u003c")
    file.write_text(PAGE.format(style=style, script=script, drawing=shown), "utf-8")
    with watched(browser) as (page, watch):
        page.goto(file.as_uri())
        yield page
        assert not watch.errors


@pytest.mark.parametrize("width", [390, 900, 1440, 1920])
def test_sixty_nodes_stand_in_a_window_that_fits_a_screen_and_each_can_be_reached(page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    drawn(page)
    panel = page.locator(".wb-panel")
    names = names_of(panel)
    assert names["out"] == names["met"] == 0 and names["least"] >= 11 and names["high"] <= 700, names
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lowest = panel.locator(".wb-spot").evaluate_all(
        "all => all.reduce((a, b) => (a.offsetTop > b.offsetTop ? a : b)).dataset.key"
    )
    spot, key = panel.locator(f".wb-spot[data-key='{lowest}']"), int(lowest)
    expect(spot).to_have_count(1)
    spot.focus()  # by keyboard: the window goes there
    expect(spot).to_be_in_viewport(ratio=1)
    press(page, spot)
    assert page.evaluate("window.sent.at(-1)") == {"toggle": key}
    panel.get_by_role("button", name="larger").click()
    drawn(page)
    assert spot.bounding_box()["y"] < 844, "it grows around what is seen"
    panel.get_by_role("button", name="as at the start").click()
