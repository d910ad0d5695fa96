"""Chosen workers: what the settings of a program name, this process or a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

from siamese.inference.workers import THIS_PROCESS, Workers


@contextmanager
def workers_at(address: str | None, cores: int) -> Iterator[Workers]:
    """The workers that the settings `workers` and `worker_cores` of a program name.

    Args:
        address: None for this process; "local" for a Ray cluster on this machine, for as long as the block; "auto" or
            "host:port" for one that is there.
        cores: threads of each worker of a cluster, at least 1.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: no such cluster answers, or no machine of it has as many cores.
    """
    if address is None:
        yield THIS_PROCESS
        return
    from siamese.inference.ray_workers import cluster  # brings in Ray

    with cluster(address, cores) as found:
        yield found
