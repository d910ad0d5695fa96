"""Serve a trained detector by HTTP: pairs of questions in, similarity, probability and verdict out.

make serve
python -m experiments.serve run=ID port=5004 threshold=precision@0.95

It is the champion, or else the training that finished last, unless run= says otherwise. The server is MLflow's own;
TensorFlow is not started.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import uvicorn

from siamese.commands.arguments import program_settings
from siamese.commands.detector import chosen
from siamese.commands.output import listen
from siamese.serving import connections
from siamese.serving.connections import allowed_hosts

BACKLOG = 1024  # clients that may wait to be let in


def run(settings: dict[str, Any]) -> None:
    """Load the detector, print how to ask it, and serve it until a signal; requests under way are answered."""
    from siamese.serving.scoring_server import LARGE, curl, scoring_app  # starts MLflow, for which no help has to wait

    with listen(settings["host"], settings["port"], BACKLOG) as listening:
        # an answer goes out in two writes; without this the second waits 40 ms until the client has acknowledged the first
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        detector = chosen(settings, show_threshold=True)
        app = scoring_app(detector, settings["max_request_bytes"], allowed_hosts(settings["host"]))
        address = f"http://{settings['host']}:{listening.getsockname()[1]}"
        served = settings["encoder"] or settings["run"] or "the champion or the last training"
        print(f"{served} on {address} (Ctrl-C ends it); ask it:\n{curl(address)}")
        sys.stdout.flush()
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it would log every request with another column
        asyncio.run(_serve(uvicorn.Server(connections.config(app)), listening, _Lanes(LARGE.get)))


class _Lanes(ThreadPoolExecutor):
    """One thread for small requests and one for large ones, so that a large one does not stop the others.

    More threads would only take Python's lock from each other. With 8 clients on two cores one thread answers 390 requests a
    second, the 99th percentile in 28 ms; six, which are asyncio's choice, 260 and 52 ms. Two processes answer more, but share
    the connections unequally: 640 and 60 ms.
    """

    def __init__(self, is_large: Callable[[], bool]):
        super().__init__(1)
        self._is_large, self._large = is_large, ThreadPoolExecutor(1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Queue a call behind those of its kind."""
        return self._large.submit(fn, *args, **kwargs) if self._is_large() else super().submit(fn, *args, **kwargs)


async def _serve(server: uvicorn.Server, listening: socket.socket, lanes: _Lanes) -> None:
    asyncio.get_running_loop().set_default_executor(lanes)  # where MLflow's app works
    await server.serve([listening])


def main() -> None:
    """Serve until it is ended."""
    run(program_settings("serve", __doc__))
