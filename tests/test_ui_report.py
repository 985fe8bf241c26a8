"""The report in a real browser, from a file, without a network: it fits, it can be tried, everyone can read it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from report_runs import finish, live_case, whole_run
from ui_browser import browser_type_launch_args, check_access, meaning, needs_browser  # noqa: F401

from workbench.narrative.names import GLOSSARY
from workbench.report.write import write_beside, write_report

pytestmark = [pytest.mark.ui, needs_browser]
SIZES = {390: 844, 900: 1000, 1280: 800, 1920: 1080}
SCREENS = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def report(whole: Path) -> str:
    return write_report(whole).as_uri()


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


def answers(page) -> list[str]:
    """What is shown of both models now, of the first case: the answers, without what is gone of them."""
    steps = """(lists) => lists.map((list) =>
        [...list.children].slice(1).map((one) => one.lastChild.textContent).filter(Boolean))"""
    return page.locator(".first .steps").evaluate_all(steps)


def test_a_fact_that_is_taken_out_shows_what_was_asked(quiet, report: str) -> None:
    quiet.goto(report)
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
    quiet.goto(report)
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
    quiet.goto(report)
    first, second = answers(quiet), quiet.locator("#second")
    expect(second).to_contain_text("Both must go.")
    expect(second.locator(".fact").first).to_contain_text("a second source")
    second.locator("select").select_option(label="every fact shown")
    expect(second.locator(".verdict").first).to_contain_text("stays")
    second.locator(".fact input").nth(2).uncheck()
    expect(second.locator(".verdict").first).to_contain_text("changes")
    assert answers(quiet) == first


def test_what_was_not_asked_is_said_to_be_so(quiet, report: str) -> None:
    quiet.goto(report)
    quiet.locator(".first .live select").select_option(label="every fact shown")
    for number in (0, 1):
        quiet.locator(".fact input").nth(number).uncheck()
    assert answers(quiet) == [[], []]
    expect(quiet.locator(".verdict").first).to_have_text("not computed in this run")
    quiet.get_by_role("button", name="Show the nearest").click()
    expect(quiet.locator(".verdict").first).not_to_contain_text("not computed")
    assert all(map(len, answers(quiet)))


@pytest.mark.parametrize("name", ["report", "beside"])
def test_everyone_can_read_it(quiet, whole: Path, report: str, tmp_path: Path, name: str) -> None:
    """With a term's meaning shown and with everything unfolded, in the light and in the dark, and on a phone. Of the
    code, which is alike and much, some of it."""
    pair = name == "beside" and write_beside(
        whole, finish(tmp_path / "two", case=live_case("x")), tmp_path / "pair.html"
    )
    quiet.goto(pair.as_uri() if pair else report)
    quiet.locator("section > details").evaluate_all("(all) => all.forEach((one) => { one.open = true })")
    quiet.locator("details.code").evaluate_all("(all) => all.forEach((one, i) => i % 12 && one.remove())")
    for scheme, rules in {"light": (), "dark": ("color-contrast",)}.items():
        quiet.emulate_media(color_scheme=scheme)
        quiet.locator(".term:visible").first.focus()
        check_access(quiet, rules=rules)
    quiet.set_viewport_size({"width": 390, "height": 844})
    assert quiet.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_that_mean_harm_run_nothing(quiet, tmp_path: Path) -> None:
    nasty = "</script><img src=x onerror=alert(1)>"
    quiet.on("dialog", lambda dialog: pytest.fail(dialog.message))
    quiet.goto(write_report(finish(tmp_path / "run", case=live_case(nasty))).as_uri())
    quiet.locator(".fact input").nth(1).uncheck()
    expect(quiet.locator(".fact").first).to_contain_text("<img src=x")
    assert quiet.locator("img").count() == 0
