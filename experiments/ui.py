"""Serve the tracked runs: the MLflow UI, and the tracking server for other machines.

make ui
make server STORE=postgresql://mlflow@localhost/mlflow ARTIFACTS=/shared/artifacts
"""

import os
import sys
from typing import Any

import hydra
from omegaconf import DictConfig

from siamese.commands.errors import plain, report_user_errors
from siamese.tracking.stores import connect
from siamese.tracking.views import save_missing_views

SHOWN = 10  # views of which a link is printed
LEAN = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # half the time and memory


def run(tracking: dict[str, Any], host: str, port: int) -> None:
    """Make the store if need be, print links to its studies, and become MLflow's server; this never returns.

    Args:
        tracking: arguments of `connect`.
        host: to bind to.
        port: to listen on.
    """
    connect(**tracking)
    address = f"http://{host}:{port}/"
    print(f"MLflow UI on {address} in some seconds (Ctrl-C ends it); the best runs come first in")
    for view in save_missing_views(tracking["experiment"])[:SHOWN]:
        print(f"  {view.name:<24} {address}{view.link}")
    sys.stdout.flush()
    options = ["--backend-store-uri", tracking["uri"], "--host", host, "--port", str(port), "--workers", "1"]
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", "server", *options], os.environ | LEAN)


@hydra.main(version_base="1.3", config_path="../conf", config_name="ui")
def main(cfg: DictConfig) -> None:
    """Serve until it is ended."""
    with report_user_errors():
        run(**plain(cfg))


if __name__ == "__main__":
    main()
