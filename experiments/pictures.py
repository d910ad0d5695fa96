"""Take the pictures for the documents from the MLflow UI: the newest study, its charts, its best run on dev.

make ui          (in another terminal)
make pictures    (needs a Chromium)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain
from siamese.data.folders import atomic_path

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update")
WIDTH = 1440  # pixels
CURVES = "epoch/(loss|dev_accuracy|dev_roc_auc)"
PLOT = ".js-plotly-plot .main-svg"
PATIENCE = 60_000  # milliseconds; the UI draws its charts some seconds after the page
DRAWING = 2_000  # milliseconds until lines and colours are there
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


def run(cfg: DictConfig) -> None:
    """Take three pictures of the newest study from the UI that runs with the same settings.

    Raises:
        ValueError: there is no study or no browser.
    """
    from siamese.tracking.queries import find_runs  # imports MLflow, which help and errors do not need
    from siamese.tracking.stores import open_store

    config = plain(cfg)
    open_store(config["tracking"]["uri"], config["tracking"]["experiment"])
    studies = find_runs("tags.kind = 'study'")
    if not studies:
        raise ValueError(
            f"{config['tracking']['uri']} holds no study; run one with: python -m experiments.study name=towers"
        )
    with browser_page() as page:
        take(page, f"http://{config['host']}:{config['port']}/", studies[0].id, FOLDER)
    print(f"took pictures of the study {studies[0].name} into {FOLDER}")


def take(page: Page, address: str, study: str, folder: Path) -> None:
    """Save a study's table, its charts and the curves of its best run as three PNG files."""
    from siamese.tracking.queries import find_runs
    from siamese.tracking.views import OBJECTIVE, save_view_of

    link = address + save_view_of(study).link
    best = max(find_runs(f"tags.`mlflow.parentRunId` = '{study}'"), key=lambda run: run.metrics.get(OBJECTIVE, 0))
    open_table(page, link)
    _save(page, folder / "mlflow_study.png")
    open_charts(page, link)
    _save(page, folder / "mlflow_charts.png")
    open_curves(page, f"{link.partition('?')[0]}/{best.id}")
    _save(page, folder / "mlflow_run.png")


def find_browser() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser_page() -> Iterator[Page]:
    """An empty page of a headless Chromium.

    Raises:
        ValueError: there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    browser = find_browser()
    if not browser:
        raise ValueError(f"no browser among {', '.join(BROWSERS)}; install one, such as Debian's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=[f"--{each}" for each in QUIET])
        context = chromium.new_context()
        context.set_default_timeout(PATIENCE)
        context.add_init_script(NO_ASSISTANT)
        yield context.new_page()
        chromium.close()


def open_table(page: Page, link: str) -> None:
    """Open a saved view as a table, and wait for its first row."""
    from siamese.tracking.views import OBJECTIVE

    _go(page, link, 620)
    page.locator(f'.ag-row[row-index="0"] [col-id="metrics.`{OBJECTIVE}`"]').wait_for()


def open_charts(page: Page, link: str) -> None:
    """Open a saved view as charts, and wait until they are drawn."""
    _go(page, f"{link}&compareRunsMode=CHART", 990)
    page.locator(PLOT).nth(2).wait_for(state="attached")
    page.get_by_text("Parallel Coordinates").wait_for()


def open_curves(page: Page, run: str) -> None:
    """Open a run, given as a link, at its curves over the epochs."""
    _go(page, f"{run}/model-metrics?workflowType=machine_learning", 620)
    page.get_by_placeholder("Search metric charts").fill(CURVES)
    page.get_by_text("loss", exact=True).wait_for()
    page.locator(PLOT).nth(2).wait_for(state="attached")


def _go(page: Page, link: str, height: int) -> None:
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto("about:blank")  # the UI reads what follows the # when it starts
    page.goto(link)


def _save(page: Page, file: Path) -> None:
    page.wait_for_timeout(DRAWING)
    with atomic_path(file) as new:
        page.screenshot(path=new)


if __name__ == "__main__":
    hydra_program("ui", __doc__, "experiments.pictures:run")
