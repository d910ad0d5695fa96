"""The MLflow UI, looked at in a browser: a study's table, its charts, two runs compared, a run's figures and tables.

What it saw is kept as pictures in .ci/artifacts.
"""

import re
from statistics import mean

import mlflow
import pytest

from siamese.tracking.stores import connect
from tests.programs import ROOT, TINY, needs_make, serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright==1.65.2")
from playwright.sync_api import Page, expect

from experiments.pictures import browser_page, find_browser, open_charts, open_table, take

if not find_browser():
    pytest.skip("there is no Chromium: apt-get install chromium", allow_module_level=True)
SECONDS = 400  # for a test: a browser that hangs answers nothing, and Playwright waits
pytestmark = [needs_make, pytest.mark.browser, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(SECONDS)]

expect.set_options(timeout=60_000)  # milliseconds
PICTURES = ROOT / ".ci" / "artifacts"
CELLS = {f"tower={tower} seed={seed}" for tower in ("dense", "conv1d") for seed in (0, 1)}
STUDY = ["name=towers", "tower=dense,conv1d", "similarity=cosine", "seed=0,1"]


@pytest.fixture(scope="module")
def store(tmp_path_factory, run_program) -> str:
    """A store that holds a study of four small networks, trained here."""
    folder = tmp_path_factory.mktemp("store")
    done = run_program("study", *STUDY, *TINY, "training.epochs=2", folder=folder)
    assert done.returncode == 0, done.stderr
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture(scope="module")
def runs(store) -> dict[str, mlflow.entities.Run]:
    """The study's runs by name, the best on dev first."""
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("duplicate-questions").experiment_id
    found = client.search_runs([experiment], "tags.kind = 'model'", order_by=["metrics.`dev/roc_auc` DESC"])
    return {run.info.run_name: run for run in found}


@pytest.fixture(scope="module")
def links(store):
    """What `make ui` prints: the name of a view -> its link."""
    with serving("ui", f"tracking.uri={store}") as served:
        yield served.links


@pytest.fixture(scope="module")
def page(links):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        yield page


def keep(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png")


def cell(page: Page, row: int, column: str):
    return page.locator(f'.ag-row[row-index="{row}"] [col-id="{column}"]')


def columns(page: Page) -> list[str]:
    """The names of the table's columns, from left to right."""
    heads = page.locator(".ag-header-cell")
    names = heads.evaluate_all("all => all.map(one => [Number(one.ariaColIndex), one.innerText.trim()])")
    return [name for _, name in sorted(names) if name]


def test_a_study_opens_with_its_measures_and_choices_the_best_run_first(page, links, runs):
    open_table(page, links["study towers"])
    measures, choices = ["dev/roc_auc", "dev/accuracy", "test/roc_auc", "training/seconds"], ["tower", "seed"]
    assert [name for name in columns(page) if name != "Created"][:7] == ["Run Name", *measures, *choices]
    assert set(runs) == CELLS
    for row, (name, run) in enumerate(runs.items()):
        expect(cell(page, row, "attributes.`Run Name`")).to_contain_text(name)
        assert float(cell(page, row, "metrics.`dev/roc_auc`").inner_text()) == run.data.metrics["dev/roc_auc"]
        assert cell(page, row, "params.`tower`").inner_text() == run.data.params["tower"]
    expect(page.get_by_text("4 matching runs")).to_be_visible()
    keep(page, "study_table")


def test_the_experiment_opens_with_metrics_also_from_the_home_page(page, links, runs):
    page.goto("about:blank")
    page.goto(links["study towers"].partition("#")[0])
    page.get_by_role("link", name="duplicate-questions", exact=True).first.click()
    expect(cell(page, 0, "attributes.`Run Name`")).to_contain_text("towers")
    options = [
        [run.data.metrics["dev/roc_auc"] for name, run in runs.items() if name.startswith(f"tower={tower} ")]
        for tower in ("dense", "conv1d")
    ]
    assert float(cell(page, 0, "metrics.`dev/roc_auc`").inner_text()) == pytest.approx(max(map(mean, options)))
    keep(page, "experiment")


def test_three_clicks_lead_to_the_best_run_of_a_study_and_to_the_command_that_repeats_it(page, links, runs):
    best, run = next(iter(runs.items()))
    open_table(page, links["all networks"])
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_role("menuitem").filter(has_text=re.compile("study towers$")).click()
    expect(page).to_have_url(re.compile("mlflow.parentRunId"))
    cell(page, 0, "attributes.`Run Name`").get_by_text(best).click()
    expect(page).to_have_url(re.compile(run.info.run_id))
    command = page.get_by_text("python -m experiments.train")
    expect(command).to_contain_text(f"tower={run.data.params['tower']}")
    expect(command).to_contain_text(f"seed={run.data.params['seed']}")
    expect(page.get_by_role("link", name="dev/roc_auc", exact=True)).to_be_visible()
    keep(page, "best_run")


def test_the_charts_of_a_study_show_quality_learning_cost_and_choices(page, links):
    open_charts(page, links["study towers"])
    for title in ("dev/roc_auc", "epoch/dev_roc_auc", "training/seconds vs. dev/roc_auc", "Parallel Coordinates"):
        expect(page.get_by_text(title, exact=True).first).to_be_visible()
    expect(page.get_by_text("comparison", exact=True)).to_be_visible()
    keep(page, "study_charts")


def test_selected_runs_are_compared_side_by_side(page, links, runs):
    open_table(page, links["study towers"])
    page.locator(".ag-header-cell input[type=checkbox]").first.click()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Comparing 4 Runs")).to_be_visible()
    for name in runs:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    keep(page, "compared_runs")


def test_a_run_shows_its_figures_and_tables(page, links, runs):
    run = next(iter(runs.values()))
    page.goto(f"{run_link(links, run)}/artifacts")
    page.get_by_text("figures", exact=True).click()
    page.get_by_text("dev_roc.png", exact=True).click()
    expect(page.get_by_role("img", name="figures/dev_roc.png")).to_be_visible()
    keep(page, "run_figure")
    page.get_by_text("dev_worst_mistakes.json", exact=True).click()
    for head in ("question1", "question2", "similarity"):
        expect(page.get_by_role("columnheader", name=head)).to_be_visible()
    keep(page, "run_mistakes")
    page.get_by_text("predictions", exact=True).click()
    page.get_by_text("dev.csv", exact=True).click()
    expect(page.get_by_text("Previewing the first")).to_be_visible()
    keep(page, "run_predictions")


def test_the_pictures_of_the_readme_are_taken(page, links, store, tmp_path):
    connect(store, "duplicate-questions")
    study = links["study towers"].split("viewStateShareKey=")[1].split("&")[0]
    take(page, links["study towers"].partition("#")[0], study, PICTURES)
    assert {file.name for file in PICTURES.glob("mlflow_*.png")} == {
        "mlflow_study.png",
        "mlflow_charts.png",
        "mlflow_run.png",
    }


def run_link(links: dict[str, str], run: mlflow.entities.Run) -> str:
    return f"{links['study towers'].partition('?')[0]}/{run.info.run_id}"
