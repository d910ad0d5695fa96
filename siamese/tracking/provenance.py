"""Provenance: the origin of a run, and whether two runs are comparable."""

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

PARAMETER_LIMIT = 6_000  # characters that MLflow keeps of a parameter's value
CHOSEN = "auto."  # starts the names of parameters that follow from the config and the data
WHERE_AND_WHEN = frozenset(
    {"seed", "tracking", "devices", "resume"}
)  # parts of a config that do not define the network
MOVED_TARGETS = {"siamese.training.optimizers": "siamese.optimizer"}  # module -> its name when first tracked
ADDED: dict[str, object] = {
    "encoder": {},
    "encoder_scale": 3.0,
    "dimension": None,
    "teaching": {},
    "start": "shipped",
    "workers": None,
    "worker_cores": 1,
    "vectors.weighted": False,
    "vectors.pull": 0.0,
    "data.encoding": None,
    "data.quoting": None,
    "data.html": "auto",
    "data.labeled": None,
    "data.duplicates_per_intent": None,
    "evaluation.probes": False,
    "evaluation.prior": None,
    "training.precision": "float32",
    "similarity.power": 4,
    "tower.cell": "lstm",
    "tower.bidirectional": True,
    "tower.shortcuts": False,
}  # parts and settings that earlier configs lack, as they are where they change nothing
RENAMED_SETTINGS = {"loss.second_weight": "loss.share", "data.hard_negative_share": "data.confusable_share"}
VERSION_OF_CODE = {"5deb6d91a3e5db39": "1"}  # digest of the code that measured -> METRICS_VERSION


def config_digest(config: dict) -> str:
    """A digest of a composed config without seed and store: runs with one digest differ only by chance.

    Renamed settings and targets count under their first names, so that runs tracked before are still found.

    >>> first = config_digest({"tower": {"units": [3]}, "seed": 1})
    >>> first == config_digest({"seed": 2, "tower": {"units": [3]}, "encoder": {}})
    True
    >>> first == config_digest({"tower": {"units": [3]}, "encoder": {"name": "minilm"}})
    False
    """
    counted = {name: node for name, node in config.items() if name not in WHERE_AND_WHEN and ADDED.get(name) != node}
    choices = {name: _first_names(node, f"{name}.") for name, node in counted.items()}
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:16]


def first_name(setting: str) -> str:
    """The dotted name under which a setting was first tracked.

    >>> first_name("loss.second_weight"), first_name("seed")
    ('loss.share', 'seed')
    """
    return RENAMED_SETTINGS.get(setting, setting)


def current_name(setting: str) -> str:
    """The current dotted name of a setting, given the name under which it was tracked."""
    return next((name for name, first in RENAMED_SETTINGS.items() if first == setting), setting)


def _first_names(node: object, path: str) -> object:
    """A node of a config with the first names of its settings and targets, without what was added and changes nothing."""
    if not isinstance(node, dict):
        return node
    renamed: dict[str, object] = {}
    for key, value in node.items():
        if path + key in ADDED and ADDED[path + key] == value:
            continue
        if key == "_target_":
            module, _, name = value.rpartition(".")
            renamed[key] = f"{MOVED_TARGETS.get(module, module)}.{name}"
        else:
            renamed[first_name(path + key).rpartition(".")[2]] = _first_names(value, f"{path}{key}.")
    return renamed


def metrics_version(tags: Mapping[str, str]) -> str:
    """The version of the metrics of a run: figures of different versions are not comparable.

    Runs without the tag metrics_version have a digest of the code instead.
    """
    code = tags.get("evaluation_code", "")
    return tags.get("metrics_version") or VERSION_OF_CODE.get(code, code)


def process(pid: int | None = None) -> str:
    """The unique id of a process, "host pid start-time"; by default of this one."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()} {pid} {psutil.Process(pid).create_time():.2f}"


def process_is_dead(process_name: str, elsewhere: bool = False) -> bool:
    """Whether a process named by `process` has ended; `elsewhere` is the answer for one of another host."""
    host, pid, _ = process_name.rsplit(" ", 2)
    if host != socket.gethostname():
        return elsewhere
    try:
        return process(int(pid)) != process_name or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def git(*arguments: str) -> str:
    """The output of git for the checkout of the project; empty without one."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
