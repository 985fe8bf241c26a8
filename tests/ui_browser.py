"""A real browser for tests: chromium of the system, a Jupyter server or the explorer's page behind a token, nothing
from outside.

Used by `tests/test_ui_*.py`.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from processes import ROOT, free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
ARGUMENTS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # nothing outside is to be had
WAIT = 240_000  # milliseconds: a machine may be busy

# voila and widgets ship with another JupyterLab than ours and say so; a widget whose script came late, as on a busy
# machine, is made anew (`heart.js`); the rest would be ours
FOREIGN = re.compile(
    r"shared (singleton )?module|favicon|Canvas2D|ResizeObserver loop|preload|\[anywidget\] failed to initialize",
    re.IGNORECASE,
)

expect.set_options(timeout=WAIT)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def home(folder: Path) -> dict[str, str]:
    """An environment in which Jupyter writes and reads below `folder` alone."""
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    own = {name: str(folder / name.lower()) for name in (*names, "JUPYTERLAB_SETTINGS_DIR")}
    for path in own.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    news = Path(own["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", "apputils-extension", "notification.jupyterlab-settings")
    news.parent.mkdir(parents=True, exist_ok=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}', "utf-8")
    return os.environ | own | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def served(command: list[str], *, environment: dict[str, str], log: Path, ready: str) -> Iterator[str]:
    """Runs a server until the block ends; gives what the pattern `ready` finds in its output."""
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            deadline = time.monotonic() + WAIT / 1000
            while not (found := re.search(ready, log.read_text("utf-8", "replace"))):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8", "replace")[-3000:]
                time.sleep(0.2)
            yield found[0]
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def lab(folder: Path, *, root: Path) -> Iterator[str]:
    """JupyterLab on the notebooks of `root`: the address up to `/lab`, and the token as its query."""
    port, token = free_port(), secrets.token_hex(16)
    settings = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    settings += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={root}"]
    settings += ["--ServerApp.ip=127.0.0.1", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    start = (
        "from workbench.artifacts.start import own_process; own_process(); from jupyterlab.labapp import main; main()"
    )
    command = [sys.executable, "-c", start, "--no-browser", "--allow-root", *settings]
    environment = home(folder) | {"PYTHONPATH": str(ROOT)}
    with served(command, environment=environment, log=folder / "lab.log", ready=rf"127\.0\.0\.1:{port}/lab"):
        yield f"http://127.0.0.1:{port}/lab?token={token}"


# in place of the notebook that is open; all have one kernel, and none finds another's widgets there
RUN = """async (name) => {
    const app = window.jupyterapp;
    await app.restored;
    const code = "import ipywidgets; ipywidgets.Widget.close_all()";
    let kernel;
    for (const old of [...app.shell.widgets("main")]) {
        const held = old.sessionContext?.session?.kernel;
        if (held) {
            kernel = { id: held.id, name: held.name };
            if (held.status === "busy") await held.interrupt(); // of a test that failed
            await held.requestExecute({ code, silent: true }).done;
        }
        old.dispose();
    }
    const panel = await app.commands.execute("docmanager:open", { path: `${name}.ipynb`, kernel });
    await panel.context.ready;
    await panel.sessionContext.ready;
    void app.commands.execute("notebook:run-all-cells");
}"""


def run_notebook(page, name: str):
    """Opens a notebook in the JupyterLab of the page, and runs its cells from the first on, without waiting for them.
    What a panel of it will be."""
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    page.evaluate(RUN, name)
    return page.locator(".wb-panel")


@contextmanager
def app(folder: Path, run_dir: Path, *more: str) -> Iterator[str]:
    """The explorer's page of a run: its address, token included."""
    command = [sys.executable, "-m", "workbench", "app", "--run-dir", str(run_dir), "--no-browser"]
    command += ["--port", str(free_port()), *more]
    environment = home(folder) | {"PYTHONPATH": str(ROOT)}
    with served(
        command, environment=environment, log=folder / "app.log", ready=r"http://127\.0\.0\.1:\d+/\?token=\w+"
    ) as url:
        yield url


def check_access(page, within: str = "html", *, rules: Sequence[str] = ()) -> None:
    """axe-core finds nothing serious or critical on the page, or in what the selector `within` finds there. rules: of
    its, that are asked about; none: all.

    JupyterLab's own drawing of a picture is left out: it takes no alternative text; ours says the same in words.
    """
    context = {"include": [[within]], "exclude": [[".jp-RenderedPlotly"], [".jp-RenderedImage"]]}
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    report = Axe().run(page, context=context, options=options).response
    bad = [one for one in report["violations"] if one["impact"] in ("serious", "critical")]
    assert len(report["passes"]) > (0 if rules else 5)
    assert not bad, "\n".join(f"{one['id']}: {node['html'][:300]}" for one in bad for node in one["nodes"])


class Watch:
    """What a page asks of other machines, and what goes wrong in it."""

    def __init__(self, page) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda message: message.type == "error" and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:", "http://127.0.0.1:")):
            self.outside.append(url)

    def _note(self, text: str) -> None:
        if not FOREIGN.search(text):
            self.errors.append(text[:500])

    def check(self) -> None:
        """Nothing left the machine, nothing went wrong."""
        assert self.outside == []
        assert not self.errors, self.errors


@contextmanager
def watched(browser, **how) -> Iterator[tuple]:
    """A page, and what watches it."""
    page = browser.new_page(**how)
    page.set_default_timeout(WAIT)
    try:
        yield page, Watch(page)
    finally:
        page.close()


def explorer(page):
    """The explorer, once everything of it is drawn."""
    panel = page.locator(".wb-panel")
    expect(panel.locator(".wb-graph .wb-spot").first).to_be_visible()
    expect(panel.locator(".wb-prompt input[type=checkbox]").first).to_be_visible()
    expect(panel.locator(".wb-weight-alpha .noUi-handle")).to_have_attribute("aria-label", re.compile("alpha"))
    return panel


def drawn(page) -> None:
    """Waits until the page has scrolled and is drawn at its size."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page, one) -> None:
    """A click of the mouse on a node of a graph, which its canvas takes."""
    one.scroll_into_view_if_needed()
    drawn(page)
    box = one.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


# names of a graph as they stand on the canvas: what runs out of it, what meets another, their least size in pixels, and
# the height of the window that all are seen in
NAMES = """stage => {
    const cy = stage.querySelector(".wb-canvas")._cyreg.cy;
    const boxes = cy.nodes().map((one) => one.renderedBoundingBox({ includeLabels: true, includeOverlays: false }));
    const met = (a, b) => a.x1 < b.x2 - 2 && b.x1 < a.x2 - 2 && a.y1 < b.y2 - 3 && b.y1 < a.y2 - 3;
    const [wide, high] = [stage.clientWidth + 2, stage.clientHeight + 2];
    return {
        out: boxes.filter((one) => one.x1 < -2 || one.x2 > wide || one.y2 > high).length,
        met: boxes.flatMap((one, i) => boxes.slice(i + 1).filter((other) => met(one, other))).length,
        high: stage.parentNode.offsetHeight,
        least: Math.min(...cy.nodes().map((one) => one.numericStyle("font-size") * cy.zoom())),
    };
}"""


def names_of(panel) -> dict[str, float]:
    """How the names of a graph stand."""
    return panel.locator(".wb-stage").first.evaluate(NAMES)


def meaning(term) -> str:
    """What a word of the glossary shows of its meaning now."""
    return term.evaluate("one => getComputedStyle(one, '::after').content")


def recomputed(panel, method: str) -> None:
    """Recomputes by a method that was not recomputed just before: what the panel said then stays until it begins."""
    panel.locator("button.wb-recompute").click()
    expect(panel.locator(".wb-status")).to_contain_text(f"done: {method}")
