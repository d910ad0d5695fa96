"""Serve the tracked runs: the MLflow UI, and the tracking server for other machines.

make ui
make server STORE=postgresql://mlflow@localhost/mlflow ARTIFACTS=/shared/artifacts
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

PLUGIN = Path(__file__).parent / "ui_plugin"  # names experiments/start_page.py
SHOWN = 10  # views whose links are printed
LEAN = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # half the time and memory


def run(cfg: "DictConfig") -> None:
    """Create the store if needed, print links to its studies, and become MLflow's server; never returns."""
    from siamese.tracking.stores import connect  # imports MLflow, which help and errors do not need
    from siamese.tracking.views import BROWSER_DEFAULTS, browser_defaults, save_missing_views

    config = plain(cfg)
    connect(**config["tracking"])
    host, port = config["host"], str(config["port"])
    address = f"http://{host}:{port}/"
    print(f"MLflow UI on {address} in some seconds (Ctrl-C ends it); the best runs come first in")
    for view in save_missing_views(config["tracking"]["experiment"])[:SHOWN]:
        print(f"  {view.name:<24} {address}{view.link}")
    sys.stdout.flush()
    options = ["--backend-store-uri", config["tracking"]["uri"], "--host", host, "--port", port, "--workers", "1"]
    paths = [str(PLUGIN), str(PLUGIN.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths)}
    own[BROWSER_DEFAULTS] = json.dumps(browser_defaults(config["tracking"]["experiment"]))
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "start-page", *options]
    os.execve(sys.executable, command, os.environ | LEAN | own)


if __name__ == "__main__":
    hydra_program("ui", __doc__, "experiments.ui:run")
