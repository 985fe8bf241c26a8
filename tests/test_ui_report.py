"""The report in a real browser, from a file, without a network: it fits, it can be tried, everyone can read it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dosed_models import with_adapter
from playwright.sync_api import expect
from report_runs import finish, live_case, whole_run
from tiny import save_tiny
from ui_browser import check_access, meaning, needs_browser

from workbench import explain_log, models
from workbench.hands.narrative.names import GLOSSARY
from workbench.hands.report.write import write_beside, write_report

pytestmark = [pytest.mark.ui, needs_browser]
SIZES = {390: 844, 900: 1000, 1280: 800, 1920: 1080}
SCREENS = 12
CONTRAST = ("color-contrast",)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def report(whole: Path) -> str:
    return write_report(whole).as_uri()


@pytest.fixture(scope="module")
def pages(whole: Path, report: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The reports of a run, of two beside one another, of an explained log."""
    folder = tmp_path_factory.mktemp("pages")
    pair = write_beside(whole, finish(folder / "two", case=live_case("x")), folder / "pair.html")
    model = save_tiny(folder / "model", "llama")
    with_adapter(models.load(str(model), names={}), size=0.5).model.save_pretrained(folder / "adapter")
    facts = [["a", "feeds", "b"], f"A fact of {'many words and ' * 30}more.", "A-name-without-a-place-to-break-it" * 6]
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps({"id": f"r{i}", "question": "q?", "facts": facts[i:]}) + "\n" for i in range(3)))
    how = {"decision": "regex:(?s).+", "budget": 40, "max_new_tokens": 6}
    found = explain_log(log, model=str(model), adapter=folder / "adapter", out=folder / "log", **how)
    return {"run": report, "beside": pair.as_uri(), "log": write_report(found.folder).as_uri()}


@pytest.fixture(scope="module")
def opened(browser) -> Iterator[tuple]:
    """A page for all tests, with what is said in it and asked for."""
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page, said, asked
    page.close()


@pytest.fixture
def quiet(opened: tuple) -> Iterator:
    """The page, of which nothing goes wrong and which asks for no more than itself."""
    page, said, asked = opened
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(media="screen", color_scheme="light")
    yield page
    assert said == [] and [url[:40] for url in asked if not url.startswith(("file:", "data:image/"))] == []


def test_it_fits(quiet, report: str) -> None:
    quiet.goto(report)
    expect(quiet.locator(".figure")).to_have_count(4)
    expect(quiet.locator(".first nav a")).to_have_count(4)
    for width, height in SIZES.items():
        quiet.set_viewport_size({"width": width, "height": height})
        wide, tall, first = quiet.evaluate(
            """() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight,
                      document.querySelector(".first").getBoundingClientRect().bottom]"""
        )
        assert wide <= width and tall <= SCREENS * height and (first <= height or width < 1280), width
        for part in ("h1", ".figure", ".first .live h2", ".first .steps"):  # what was found, by how much, and on what
            for one in quiet.locator(part).all():
                expect(one).to_be_in_viewport(ratio=1)
        cut = """(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"""
        assert quiet.locator(".steps bdi, .figure span, .figure small").evaluate_all(cut) == [], width


def visit(page, url: str) -> None:
    """Opens the report unless it is open: what the test before has chosen there, is chosen anew."""
    if page.url != url:
        page.goto(url)


def answers(page) -> list[str]:
    """What is shown of both models now, of the first case: the answers, without what is gone of them."""
    steps = """(lists) => lists.map((list) =>
        [...list.children].slice(1).map((one) => one.lastChild.textContent).filter(Boolean))"""
    return page.locator(".first .steps").evaluate_all(steps)


def test_a_fact_that_is_taken_out_shows_what_was_asked(quiet, report: str) -> None:
    visit(quiet, report)
    data = json.loads(quiet.locator(".first .live script").text_content())
    boxes, status = quiet.locator(".first .fact input"), quiet.locator(".first .live [role=status]")
    quiet.locator(".first .live select").select_option(label="every fact shown")
    assert not boxes.evaluate_all("(all) => all.filter((one) => !one.checked).length")
    for removal, row in data["rows"].items():
        gone = [int(number) for number in removal.split()]
        for number in gone[:2]:  # as the reader does: with the keyboard, or with the mouse
            boxes.nth(number).focus()
            quiet.keyboard.press("Space")
        for number in gone[2:]:
            boxes.nth(number).uncheck()
        now = [[two for _, two, _ in data["answers"][k][str(row[k])]["steps"] if two] for k in (0, 1)]
        assert answers(quiet) == now, removal
        expect(status).to_contain_text(data["answers"][1][str(row[1])]["text"])
        for number in gone:
            boxes.nth(number).check()


def test_a_term_says_what_it_means_to_mouse_and_keyboard(quiet, report: str) -> None:
    quiet.set_viewport_size({"width": 390, "height": 844})
    visit(quiet, report)
    terms = quiet.locator("p .term:visible")
    assert {"certified", "adapter"} <= set(terms.all_inner_texts())
    terms.first.focus()
    for one in (terms.first, terms.nth(1)):
        expect(one).to_be_focused()
        assert meaning(one) == f'"{GLOSSARY[one.inner_text()]}"'
        assert quiet.evaluate("document.documentElement.scrollWidth") <= 390
        quiet.keyboard.press("Tab")
    assert meaning(terms.first) == "none"
    terms.first.hover()
    assert meaning(terms.first) != "none"


def test_the_second_case_is_tried_by_itself(quiet, report: str) -> None:
    visit(quiet, report)
    first, second = answers(quiet), quiet.locator("#second")
    expect(second).to_contain_text("Both must go.")
    expect(second.locator(".fact").first).to_contain_text("a second source")
    second.locator("select").select_option(label="every fact shown")
    expect(second.locator(".verdict").first).to_contain_text("stays")
    second.locator(".fact input").nth(2).uncheck()
    expect(second.locator(".verdict").first).to_contain_text("changes")
    assert answers(quiet) == first


def test_what_was_not_asked_is_said_to_be_so(quiet, report: str) -> None:
    visit(quiet, report)
    quiet.locator(".first .live select").select_option(label="every fact shown")
    for number in (0, 1):
        quiet.locator(".fact input").nth(number).uncheck()
    assert answers(quiet) == [[], []]
    expect(quiet.locator(".verdict").first).to_have_text("not computed in this run")
    quiet.get_by_role("button", name="Show the nearest").click()
    expect(quiet.locator(".verdict").first).not_to_contain_text("not computed")
    assert all(map(len, answers(quiet)))


# what is cut off: on paper nothing scrolls
CUT = """(print) => [...document.querySelectorAll("body *")].filter((one) => {
    const how = getComputedStyle(one).overflowX;
    const shut = print ? how !== "visible" : ["hidden", "clip"].includes(how);
    return shut && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1;
}).map((one) => one.outerHTML.slice(0, 200))"""

# of what is alike beside each other, the first few
THIN = """() => { for (const parent of document.querySelectorAll("main *, body")) {
    const seen = {};
    for (const one of [...parent.children]) {
        const kind = `${one.tagName} ${one.className}`;
        if ((seen[kind] = (seen[kind] ?? 0) + 1) > 6) one.remove();
    }
} }"""


@pytest.mark.parametrize("name", ["run", "beside", "log"])
def test_everyone_can_read_it_on_a_screen_by_night_and_on_paper(quiet, pages: dict[str, str], name: str) -> None:
    """With a term's meaning shown and with everything unfolded."""
    quiet.goto(pages[name])
    quiet.locator("section > details").evaluate_all("(all) => all.forEach((one) => { one.open = true })")
    for media in ("screen", "print"):
        quiet.emulate_media(media=media)
        for width in (390, 900, 1440, 1920):
            quiet.set_viewport_size({"width": width, "height": 1000})
            assert quiet.evaluate("document.documentElement.scrollWidth") <= width, (media, width)
            assert quiet.evaluate(CUT, media == "print") == [], (media, width)
    quiet.evaluate(THIN)
    for media, scheme, rules in (("screen", "light", ()), ("screen", "dark", CONTRAST), ("print", "dark", CONTRAST)):
        quiet.emulate_media(media=media, color_scheme=scheme)
        quiet.locator(".term:visible").first.focus()
        check_access(quiet, rules=rules)


def test_names_that_mean_harm_run_nothing(quiet, tmp_path: Path) -> None:
    nasty = "</script><img src=x onerror=alert(1)>"
    quiet.on("dialog", lambda dialog: pytest.fail(dialog.message))
    quiet.goto(write_report(finish(tmp_path / "run", case=live_case(nasty))).as_uri())
    quiet.locator(".fact input").nth(1).uncheck()
    expect(quiet.locator(".fact").first).to_contain_text("<img src=x")
    assert quiet.locator("img").count() == 0
