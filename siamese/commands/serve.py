"""Serve a trained detector by HTTP: pairs of questions in, similarity, probability and verdict out.

make serve
python -m experiments.serve run=ID port=5004 threshold=precision@0.95

It is the champion, or else the training that finished last, unless run= says otherwise. The protocol is that of MLflow's
server; /docs describes it. Neither MLflow nor TensorFlow is started for a model whose folder is known. SIGTERM ends the
server when what it has accepted is answered; SIGHUP loads the detector again, such as another champion.
"""

import asyncio
import gc
import io
import multiprocessing
import signal
import socket
import sys
from contextlib import ExitStack, nullcontext, redirect_stderr
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

from siamese.commands.arguments import program_settings
from siamese.commands.detector import chosen
from siamese.commands.output import listen, note
from siamese.detector import Detector
from siamese.inference.threads import share_cores
from siamese.serving import connections
from siamese.serving.connections import allowed_hosts
from siamese.serving.processes import supervised
from siamese.serving.protocol import EXAMPLE, curl
from siamese.serving.scoring_server import ScoringServer

BACKLOG = 1024  # clients that may wait to be let in
SWITCH_S = (
    5e-4  # after which a thread gives Python's lock to another one: the default, 5 ms, is as long as many answers take
)


def run(settings: dict[str, Any]) -> None:
    """Load the detector, print how to ask it, and serve it until a signal; requests under way are answered."""
    for name in ("processes", "max_waiting"):
        if settings[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {settings[name]}")
    if settings["processes"] > 1:
        _serve_by_processes(settings)
        return
    with _listen(settings) as listening:
        scoring = _scoring_server(settings)
        _announce(settings, listening)
        asyncio.run(_serve(scoring, settings, listening))


def _serve_by_processes(settings: dict[str, Any]) -> None:
    """Serve by processes that have a socket each on the same port, among which the system shares the connections."""
    with ExitStack() as stack:
        with _listen(settings) as first:  # fails if another server has the port
            port = first.getsockname()[1]
        settings = {**settings, "port": port}
        sockets = [stack.enter_context(_listen(settings, reuse_port=True)) for _ in range(settings["processes"])]
        with supervised(_process, [(settings, each, number) for number, each in enumerate(sockets)]) as wait:
            _announce(settings, sockets[0])
            for each in sockets:  # who asks a process that has died is refused, instead of waiting for ever
                each.close()
            wait()


def _process(ready: Connection, settings: dict[str, Any], listening: socket.socket, number: int) -> None:
    """Serve in one of several processes, of which the first one prints; Ctrl-C is for the process that started it."""
    for name in ("SIGINT", "SIGHUP"):  # `_serve` sets a handler for the latter
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    share_cores(settings["processes"])
    scoring = _scoring_server(settings, quiet=number > 0)
    ready.send(None)
    asyncio.run(_serve(scoring, settings, listening, quiet=number > 0))


def _listen(settings: dict[str, Any], reuse_port: bool = False) -> socket.socket:
    listening = listen(settings["host"], settings["port"], BACKLOG, reuse_port)
    # an answer goes out in two writes; without this the second waits 40 ms until the client has acknowledged the first
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return listening


def _scoring_server(settings: dict[str, Any], quiet: bool = False) -> ScoringServer:
    return ScoringServer(
        _detector(settings, quiet),
        settings["max_request_bytes"],
        allowed_hosts(settings["host"]),
        settings["max_waiting"],
        settings["log_requests"],
    )


def _detector(settings: dict[str, Any], quiet: bool) -> Detector:
    """The chosen detector after its first answer, which takes longer than others; its lines are printed unless `quiet`."""
    with redirect_stderr(io.StringIO()) if quiet else nullcontext():
        detector = chosen(settings, show_threshold=True)
    detector.verdicts([EXAMPLE])
    return detector


def _announce(settings: dict[str, Any], listening: socket.socket) -> None:
    """Print what is served where, and a command that asks it."""
    address = f"http://{settings['host']}:{listening.getsockname()[1]}"
    served = settings["encoder"] or settings["run"] or "the champion or the last training"
    print(f"{served} on {address} (Ctrl-C ends it); ask it:\n{curl(address)}")
    sys.stdout.flush()


async def _serve(
    scoring: ScoringServer, settings: dict[str, Any], listening: socket.socket, quiet: bool = False
) -> None:
    """Serve until SIGTERM, which is a success, or Ctrl-C. SIGHUP lets the detector that is chosen by then answer."""
    sys.setswitchinterval(SWITCH_S)
    # for small products the threads of BLAS mostly wait for each other, and take the cores from the other processes meanwhile
    threadpool_limits(1, user_api="blas")
    gc.collect()
    gc.freeze()  # what is there by now stays; collecting among it stops the answers for tens of milliseconds
    signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # uvicorn sets its own handler, and raises the signal again behind it
    server = connections.DrainingServer(connections.config(scoring))
    if parent := multiprocessing.parent_process():
        asyncio.get_running_loop().add_reader(parent.sentinel, lambda: setattr(server, "should_exit", True))
    if hasattr(signal, "SIGHUP"):
        loading: set[asyncio.Task[None]] = set()  # a task without a reference could be collected

        def reload() -> None:
            loading.add(task := asyncio.create_task(_reload(scoring, settings, quiet, lock)))
            task.add_done_callback(loading.discard)

        lock = asyncio.Lock()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    await server.serve([listening])


async def _reload(scoring: ScoringServer, settings: dict[str, Any], quiet: bool, lock: asyncio.Lock) -> None:
    """Let the detector that is chosen now answer; what was accepted before is answered by the one that was there."""
    async with lock:
        try:
            scoring.detector = await asyncio.to_thread(_detector, settings, quiet)
        except Exception as problem:  # whatever is wrong with the new one
            still = scoring.detector.model
            note(f"the model was not loaded again: {problem}; the one that was there goes on to answer: {still}")


def main() -> None:
    """Serve until it is ended."""
    run(program_settings("serve", __doc__))
