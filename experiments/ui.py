"""Serve the tracked runs: the MLflow UI, and the tracking server for other machines.

make ui
make server STORE=postgresql://mlflow@localhost/mlflow ARTIFACTS=/shared/artifacts
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from experiments.cli import hydra_program
from siamese.commands.errors import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

SHOWN = 10  # views whose links are printed
LEAN = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # half the time and memory


def run(tracking: dict[str, Any], host: str, port: int) -> None:
    """Create the store if needed, print links to its studies, and become MLflow's server; never returns.

    Args:
        tracking: arguments of `connect`.
        host: to bind to.
        port: to listen on.
    """
    from siamese.tracking.stores import connect  # imports MLflow, which help and errors do not need
    from siamese.tracking.views import save_missing_views

    connect(**tracking)
    address = f"http://{host}:{port}/"
    print(f"MLflow UI on {address} in some seconds (Ctrl-C ends it); the best runs come first in")
    for view in save_missing_views(tracking["experiment"])[:SHOWN]:
        print(f"  {view.name:<24} {address}{view.link}")
    sys.stdout.flush()
    options = ["--backend-store-uri", tracking["uri"], "--host", host, "--port", str(port), "--workers", "1"]
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", "server", *options], os.environ | LEAN)


def serve(cfg: "DictConfig") -> None:
    """Serve until it is ended."""
    run(**plain(cfg))


def main() -> None:
    """Serve with the settings of the command line."""
    hydra_program("ui", __doc__, serve)


if __name__ == "__main__":
    main()
