"""Pages: what is written on a run from outside, whether it has ended or not."""

from pathlib import Path

import mlflow

from siamese.tracking.runs import whole_write


@whole_write()
def log_to_run(run: str, folder: Path, name: str, description: str) -> None:
    """A folder as the artifacts `name` of a run, and Markdown as its description; its state stays as it is."""
    client = mlflow.MlflowClient()
    client.log_artifacts(run, str(folder), name)
    client.set_tag(run, "mlflow.note.content", description)
