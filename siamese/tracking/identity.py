"""Identity: what tells one run from another, or shows that two are alike."""

import hashlib
import json
import os
import socket
import subprocess
from pathlib import Path

import psutil

PARAMETER_LIMIT = 6_000  # characters that MLflow keeps of a parameter's value
MEASURING = (
    "baselines.py",
    "calibration.py",
    "metrics.py",
    "report.py",
    "thresholds.py",
)  # files of siamese/evaluation
WHERE_AND_WHEN = frozenset({"seed", "tracking", "devices"})  # parts of a config that are no choice between networks


def config_digest(config: dict) -> str:
    """A digest of a composed config without seed and store: runs that share it differ in nothing but chance.

    >>> config_digest({"tower": {"units": [3]}, "seed": 1}) == config_digest({"seed": 2, "tower": {"units": [3]}})
    True
    """
    choices = {name: node for name, node in config.items() if name not in WHERE_AND_WHEN}
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:16]


def process(pid: int | None = None) -> str:
    """What tells a process from every other, now and later: "host pid start-time"; of this process unless told."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()} {pid} {psutil.Process(pid).create_time():.2f}"


def has_died(process_name: str, elsewhere: bool = False) -> bool:
    """Whether a process named by `process` has ended.

    Args:
        process_name: "host pid start-time".
        elsewhere: the answer for a process of another host, of which nothing is known here.
    """
    host, pid, _ = process_name.rsplit(" ", 2)
    if host != socket.gethostname():
        return elsewhere
    try:
        return process(int(pid)) != process_name or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def evaluation_code() -> str:
    """A digest of the code that measures: figures of different digests are not to be compared."""
    sha = hashlib.sha256()
    for name in MEASURING:
        sha.update((Path(__file__).parents[1] / "evaluation" / name).read_bytes())
    return sha.hexdigest()[:16]


def git(*arguments: str) -> str:
    """What git prints about the project's checkout; empty where there is none."""
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
