"""Sending: the runs of a local store are added to the store that was silent when they were logged.

Whatever is sent already is not sent again, so that an interrupted sending can be repeated.
"""

import json
from pathlib import Path

from mlflow.entities import LoggedModelOutput, Metric, Run
from mlflow.models import Model
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

STORE, SOURCE = "store.json", "uri"  # the file that says where the runs of a folder belong, and its field
CONTINUES = "continues"  # tag of a local run: the run of the store to which it belongs
SENT = "sent"  # tag of a local run of which nothing is left to send
SENT_MODEL = "sent_model"  # tag of a local run: the model in the store
OWN_TAGS = (CONTINUES, SENT, SENT_MODEL, "mlflow.parentRunId", "mlflow.log-model.history")
UNCONFIRMED_SECONDS = 60  # at most, from the start of a run that was not confirmed to that of the one in its place
BATCH = 500  # metrics of a request


def send(folder: Path) -> list[str]:
    """Send the runs of the store in a folder, the outer before the inner.

    Returns:
        Their ids in the store that they belong to.
    """
    about = json.loads((folder / STORE).read_text(encoding="utf-8"))
    here, there = MlflowClient(f"sqlite:///{folder.absolute()}/mlflow.db"), MlflowClient(about[SOURCE])
    own, other = (client.get_experiment_by_name(about["experiment"]) for client in (here, there))
    if own is None:
        return []
    found = here.search_runs([own.experiment_id], order_by=["attributes.start_time ASC"], max_results=50_000)
    target: dict[str, str] = {}
    for run in found:
        if CONTINUES in run.data.tags:
            target[run.info.run_id] = run.data.tags[CONTINUES]
    for run in found:
        local = run.info.run_id
        if local not in target:
            experiment = other.experiment_id if other else there.create_experiment(about["experiment"])
            target[local] = _new_run(there, experiment, run, target)
            here.set_tag(local, CONTINUES, target[local])
        if SENT not in run.data.tags:
            _send_run(here, there, run, target[local])
            if run.info.status != "RUNNING":
                here.set_tag(local, SENT, "true")
    return [target[run.info.run_id] for run in found]


def unconfirmed_run(client: MlflowClient, experiment: str, name: str, process: str, since: int) -> str | None:
    """The run that a store began for a process, though its answer was lost; None if it did not.

    Args:
        client, experiment: of the store, and the id of its experiment.
        name, process: of the run, and its tag.
        since: milliseconds since 1970, before it was begun.
    """
    wanted = f"attributes.status = 'RUNNING' and attributes.start_time >= {since} and tags.process = '{process}'"
    found = client.search_runs([experiment], wanted)
    return next((run.info.run_id for run in found if run.info.run_name == name), None)


def _new_run(there: MlflowClient, experiment: str, run: Run, target: dict[str, str]) -> str:
    if process := run.data.tags.get("process"):
        since = run.info.start_time - UNCONFIRMED_SECONDS * 1000
        begun = unconfirmed_run(there, experiment, run.info.run_name, process, since)
        if begun:
            return begun
    parent = run.data.tags.get("mlflow.parentRunId")
    tags = {"mlflow.parentRunId": target.get(parent, parent)} if parent else {}
    made = there.create_run(experiment, start_time=run.info.start_time, tags=tags, run_name=run.info.run_name)
    return made.info.run_id


def _send_run(here: MlflowClient, there: MlflowClient, run: Run, target: str) -> None:
    local = run.info.run_id
    for name, value in run.data.params.items():
        there.log_param(target, name, value)
    for name, value in run.data.tags.items():
        if name not in OWN_TAGS:
            there.set_tag(target, name, value)
    metrics = []
    for name in run.data.metrics:
        known = {(each.step, each.value) for each in there.get_metric_history(target, name)}
        values = here.get_metric_history(local, name)
        new = [each for each in values if (each.step, each.value) not in known]
        metrics += [Metric(name, each.value, each.timestamp, each.step) for each in new]
    for start in range(0, len(metrics), BATCH):
        there.log_batch(target, metrics[start : start + BATCH])
    if run.inputs and run.inputs.dataset_inputs:
        there.log_inputs(target, run.inputs.dataset_inputs)
    artifacts = Path(local_file_uri_to_path(run.info.artifact_uri))
    if artifacts.is_dir():
        there.log_artifacts(target, str(artifacts))
    if run.outputs and run.outputs.model_outputs and SENT_MODEL not in run.data.tags:
        model = _send_model(here, there, run.outputs.model_outputs[0].model_id, target)
        here.set_tag(local, SENT_MODEL, model)
    if run.info.status != "RUNNING":
        there.set_terminated(target, run.info.status, run.info.end_time)


def _send_model(here: MlflowClient, there: MlflowClient, model: str, target: str) -> str:
    """Send a model, and return its id there.

    One that the store had begun when it fell silent is completed, not replaced: the run may name it already, for good.
    """
    logged = here.get_logged_model(model)
    folder = Path(local_file_uri_to_path(logged.artifact_location))
    run = there.get_run(target)
    named = [each.model_id for each in run.outputs.model_outputs] if run.outputs else []
    begun = there.search_logged_models([run.info.experiment_id], f"source_run_id = '{target}'")
    made = next((each for each in begun if each.model_id in named), begun[0] if begun else None)
    for other in begun:
        if made and other.model_id != made.model_id:
            there.delete_logged_model(other.model_id)
    made = made or there.create_logged_model(run.info.experiment_id, name=logged.name, source_run_id=target)
    description = Model.load(str(folder))
    description.run_id, description.model_id = target, made.model_id
    description.artifact_path = made.artifact_location
    description.save(str(folder / "MLmodel"))
    there.log_model_artifacts(made.model_id, str(folder))
    there.finalize_logged_model(made.model_id, "READY")
    if made.model_id not in named:
        there.log_outputs(target, [LoggedModelOutput(made.model_id, 0)])
    return made.model_id
