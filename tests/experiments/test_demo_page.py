"""The page of `make demo`, looked at in a browser that reaches nothing but its server.

What it saw is kept as pictures in .ci/artifacts.
"""

import csv
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from experiments.demo.server import WHICH
from siamese.data.questions import NOT_UTF8, text_problem
from siamese.detector import Detector
from siamese.explanation.heat_map import UNREAD, html
from siamese.explanation.word_effects import why
from tests.experiments.demo_questions import DETECTOR, DIFFERENT, EVIL, QUESTIONS, SAME
from tests.programs import ROOT, needs_make, serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright==1.65.2")
from playwright.sync_api import Locator, Page, Route, expect

from experiments.pictures import browser_page, find_browser

if not find_browser():
    pytest.skip("there is no Chromium: apt-get install chromium", allow_module_level=True)
SECONDS = 180  # for a test: a browser that hangs answers nothing, and Playwright waits
pytestmark = [needs_make, pytest.mark.browser, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(SECONDS)]

expect.set_options(timeout=60_000)  # milliseconds
PICTURES = ROOT / ".ci" / "artifacts"
TITLE = "Do two questions ask the same?"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(DETECTOR)


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("demo") / "faq.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "topic"], *QUESTIONS.items()])
    with serving("demo", f"run={DETECTOR} index={path}") as served:
        yield served.address


@pytest.fixture(scope="module")
def browser(address) -> Iterator[tuple[Page, list[str]]]:
    """A page that reaches nothing but the server, and what it complains of or asks elsewhere."""
    complaints: list[str] = []

    def stay_at_home(route: Route) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    with browser_page() as page:
        page.context.route("**/*", stay_at_home)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda problem: complaints.append(str(problem)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        yield page, complaints


@pytest.fixture
def complaints(browser) -> Iterator[list[str]]:
    """None must be left when a test ends."""
    browser[1].clear()
    yield browser[1]
    assert browser[1] == []


@pytest.fixture
def page(browser, address, complaints) -> Page:
    page = browser[0]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 900, "height": 700})
    page.goto("about:blank")  # else only what follows the # would change
    complaints.clear()
    page.goto(address)
    return page


def compare(page: Page, left: str, right: str) -> None:
    page.get_by_label("First question").fill(left)
    page.get_by_label("Second question").fill(right)
    page.get_by_label("Second question").press("Enter")


def keep(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"demo_{name}.png", full_page=True)


def verdict(page: Page) -> Locator:
    return page.locator("#compare-panel [role=status]")


def test_two_questions_and_enter_give_a_verdict_and_coloured_words(page, detector):
    compare(page, *SAME)
    expect(verdict(page)).to_have_text("They ask the same")
    similarity = detector.similarity([SAME])
    meter = page.get_by_role("meter", name="Similarity")
    expect(meter).to_have_attribute("aria-valuenow", f"{similarity[0]:.4f}")
    panel = page.get_by_role("tabpanel", name="Compare")
    expect(panel).to_contain_text(f"{detector.probability(similarity)[0]:.1%}".replace("%", " %"))
    expect(panel).to_contain_text(detector.threshold_note())
    full = meter.bounding_box()
    filled, threshold = (page.locator(f".bar .{part}").bounding_box() for part in ("fill", "threshold"))
    assert filled["width"] / full["width"] == pytest.approx(similarity[0], abs=0.01)
    middle = threshold["x"] + threshold["width"] / 2 - full["x"]
    assert middle / full["width"] == pytest.approx(detector.calibration.threshold, abs=0.01)
    words = page.locator(".why p").nth(0).locator("mark")
    assert words.all_inner_texts() == why(detector, *SAME).left.words
    colours = words.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert len(set(colours)) > 1
    assert any(re.fullmatch(r"rgba\(33, 113, 181, 0\.\d+\)", colour) for colour in colours)
    keep(page, "compare_light")
    with page.expect_response("**/compare"):
        page.keyboard.press("Enter")  # the same again
    compare(page, *DIFFERENT)
    expect(verdict(page)).to_have_text("They ask different things")


def test_the_example_is_compared_by_the_button(page, complaints):
    expect(page.get_by_label("First question")).to_have_value("How do I reset my password?")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(verdict(page)).to_have_text(re.compile("They ask"))
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"
    keep(page, "compare_dark")


def test_examples_are_a_click_away(page):
    page.get_by_role("link", name="Where is my parcel?").click()
    expect(page.get_by_label("First question")).to_have_value("Where is my parcel?")
    expect(verdict(page)).to_have_text(re.compile("They ask"))
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("link", name="My card was stolen").click()
    expect(page.locator(".found")).to_have_text(re.compile("^6 found"))


def test_a_french_browser_gets_a_french_page(browser, address):
    """Also what the server says, except for its model; a third language gets English."""
    with browser[0].context.browser.new_context(locale="fr-CA") as context:
        page = context.new_page()
        page.goto(address)
        assert page.title() == "Deux questions demandent-elles la même chose ?"
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        page.get_by_role("link", name="Où est mon colis ?").click()
        expect(verdict(page)).to_have_text(re.compile("^Elles demandent"))
        expect(page.get_by_role("note")).to_contain_text("Le modèle connaît")
        expect(page.locator("figcaption")).to_have_text(re.compile("^Les mots bleus .* Les mots gris "))
        expect(page.get_by_label("Première question")).to_have_value("Où est mon colis ?")
        page.get_by_label("Seconde question").fill(" ")
        page.get_by_role("button", name="Comparer").click()
        expect(page.get_by_role("alert")).to_have_text("La seconde question : le texte est vide")
        page.get_by_role("tab", name="Chercher").click()
        expect(page.get_by_role("tabpanel", name="Chercher")).to_contain_text("6 questions de faq.csv")
        page.get_by_role("link", name="On m’a volé ma carte").click()
        expect(page.locator(".found")).to_have_text(re.compile("^6 trouvées"))
        expect(page.locator("footer")).to_contain_text("Les réponses viennent de ce modèle")
        keep(page, "search_french")
        page.get_by_role("tab", name="Comparer").click()
        keep(page, "compare_french")
    with browser[0].context.browser.new_context(locale="de-DE") as context:
        page = context.new_page()
        page.goto(address)
        assert page.title() == TITLE


def test_both_languages_have_the_same_texts(page):
    names = page.evaluate("Object.values(TEXTS).map(Object.keys)")
    assert names[0] == names[1]
    said = page.evaluate("Object.keys(TEXTS.fr.server)")
    known = [*(f"{each}: " for each in WHICH.values()), text_problem(""), NOT_UTF8, UNREAD]
    assert set(known) <= set(said)
    shown = html(why(Detector.load(DETECTOR), "wie koche ich Reis", SAME[0])) + "in the cosine of"
    assert all(any(part in shown for part in (each, each.partition(".")[0])) or each in known for each in said)


def test_a_long_word_breaks(page):
    page.set_viewport_size({"width": 360, "height": 700})
    compare(page, "supercalifragilistic" * 8, SAME[0])
    expect(page.locator(".why")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_one_question_twice_has_the_highest_similarity(page):
    compare(page, "Où est ma carte, à l'été ?", "Où est ma carte, à l'été ?")
    expect(page.get_by_role("meter")).to_have_attribute("aria-valuenow", "1.0000")
    expect(verdict(page)).to_have_text("They ask the same")
    assert page.locator(".why p").all_inner_texts() == ["Où est ma carte, à l'été ?"] * 2


def test_the_keyboard_leads_to_the_search_and_the_best_answer_comes_first(page, detector):
    page.get_by_role("tab", name="Compare").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Search")).to_be_focused()
    expect(page.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Compare")).to_be_hidden()
    expect(page.get_by_role("tabpanel", name="Search")).to_contain_text("6 questions in faq.csv")
    page.keyboard.press("Tab")
    page.keyboard.type("Where can I pay the BILL")
    page.keyboard.press("Enter")
    same = detector.is_duplicate([("Where can I pay the BILL", text) for text in QUESTIONS]).sum()
    expect(page.locator(".found")).to_have_text(f"6 found, {same} with the verdict “same”")
    heads = page.get_by_role("columnheader").all_inner_texts()
    assert heads == ["question", "similarity", "verdict", "topic"]
    rows = page.locator(".scroll tbody tr")
    first = rows.first.get_by_role("cell").all_inner_texts()
    assert first == ["where can i pay the bill", "1.0000", "same", "bills"]
    assert sorted(text.split("\t")[0] for text in rows.all_inner_texts()) == sorted(QUESTIONS)
    keep(page, "search_light")
    page.get_by_label("Show").select_option("5")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(rows).to_have_count(5)
    page.get_by_role("tab", name="Search").focus()
    for key, name in {"ArrowRight": "Compare", "ArrowLeft": "Search", "Home": "Compare", "End": "Search"}.items():
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        expect(page.locator('[role=tab][tabindex="0"]')).to_have_text(name)  # the one that the Tab key reaches


def test_an_answer_leads_to_its_comparison_and_back(page, detector):
    page.goto(f"{page.url}#search?{urlencode({'question': SAME[0]})}")
    page.get_by_role("link", name="where can i pay the bill").click()
    expect(page.get_by_label("First question")).to_have_value(SAME[0])
    expect(page.get_by_label("Second question")).to_have_value("where can i pay the bill")
    expect(verdict(page)).to_have_text("They ask the same")
    page.go_back()
    expect(page.get_by_label("A question")).to_have_value(SAME[0])


def test_what_is_hardly_read_is_told(page):
    compare(page, "wie koche ich Reis", "opening hours")
    told = page.get_by_role("tabpanel", name="Compare").get_by_role("note")
    expect(told).to_have_text(
        "The model knows 0.0 % of the words of the first question: what it says of it is a guess."
    )
    compare(page, *SAME)
    expect(told).to_have_text("")


def test_an_empty_question_is_pointed_out(page, complaints):
    compare(page, "  ", "opening hours")
    expect(page.get_by_role("alert")).to_have_text("The first question: the text is empty")
    expect(page.get_by_label("First question")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Second question")).to_have_attribute("aria-invalid", "false")
    assert complaints == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]
    complaints.clear()
    compare(page, *SAME)
    expect(verdict(page)).to_have_text("They ask the same")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_markup_in_a_question_is_text(page):
    compare(page, EVIL, "opening hours")
    assert page.locator(".why p").nth(0).inner_text() == EVIL
    page.goto(f"{page.url.partition('#')[0]}#search?{urlencode({'question': EVIL})}")
    row = page.locator(".scroll tbody tr").filter(has_text="how to pay")
    assert row.get_by_role("cell").first.inner_text() == f"how to pay {EVIL}"
    assert row.get_by_role("cell").last.inner_text() == "<b>bold</b>"
    assert page.locator("main :is(script, img, b)").count() == 0
    assert page.title() == TITLE


def test_the_page_may_ask_no_other_machine_and_run_no_other_script(page, complaints):
    assert page.evaluate("fetch('http://192.0.2.1/').catch(() => 'refused')") == "refused"
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=\"document.title = 1\">here</p>')")
    page.get_by_text("here", exact=True).click()
    assert page.title() == TITLE
    assert len(complaints) >= 2
    assert all("Content Security Policy" in complaint for complaint in complaints)
    complaints.clear()


def test_an_answer_that_comes_late_is_dropped(page):
    held: list[Route] = []
    page.route("**/compare", lambda route: route.fallback() if held else held.append(route))
    compare(page, *DIFFERENT)
    expect(page.locator("#compare-panel")).to_have_attribute("aria-busy", "true")
    compare(page, *SAME)
    expect(verdict(page)).to_have_text("They ask the same")
    with page.expect_response("**/compare") as late:
        held[0].fallback()
    late.value.finished()
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(verdict(page)).to_have_text("They ask the same")
    page.unroute("**/compare")


def test_a_narrow_screen_shows_all_without_scrolling_sideways(page):
    page.set_viewport_size({"width": 360, "height": 700})
    compare(page, "Where can I pay the bill that came yesterday, and until when do the shops open today?", SAME[0])
    expect(page.locator(".why")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    keep(page, "compare_narrow")
    page.goto(f"{page.url.partition('#')[0]}#search?{urlencode({'question': SAME[0]})}")
    expect(page.get_by_text("bills")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    keep(page, "search_narrow")
