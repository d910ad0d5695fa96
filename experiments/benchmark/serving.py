"""Serving: requests a second and their latency, by the server with a detector, and with bad requests between."""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice

from experiments.benchmark import fresh_process
from experiments.benchmark.load import Load, ask, connect, load, post
from experiments.benchmark.pairs import read_or_make
from experiments.benchmark.result import Line, Result
from siamese.detector import Detector
from siamese.evaluation.timing import in_turn

Pair = tuple[str, str]
WARM_SECONDS = 1.0
BATCHES = 5  # different requests of many pairs
BAD_CLIENTS = 8  # that ask where bad requests come between
GOOD_BETWEEN = 5  # requests after each bad one
BAD = (  # body, content type, status of the answer
    (b"", "application/json", 400),
    (b'{"dataframe_records": [', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"dataframe_records": [{"question1": "\xff", "question2": "a"}]}', "application/json", 400),
    (b'{"dataframe_records": [{"question1": "a", "question2": null}]}', "application/json", 400),
    (b'{"dataframe_records": [{"question1": "a"}]}', "application/json", 400),
    (b'{"inputs": [["a", "b"]]}', "application/json", 400),
    (b"question1,question2\na,b\n", "text/csv", 415),
    (b'{"dataframe_records": [{"question1": "' + b"x" * 2**20 + b'", "question2": "a"}]}', "application/json", 413),
    (b"\0" * 2**24, "application/json", 413),
)


def measure(
    tower: str,
    pairs_file: str | None,
    clients: Sequence[int],
    seconds: float,
    batch: int,
    bad_requests: int,
    vocabulary: int,
    width: int,
    repeats: int,
) -> Result:
    """Serve a detector with random weights in a process of its own, and ask it from this one."""
    made = read_or_make(pairs_file, BATCHES * batch, vocabulary, seed=0)
    pairs = list(zip(made.left_texts(), made.right_texts(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        detector = {"folder": folder, "tower": tower, "vocabulary": vocabulary, "width": width}
        fresh_process.call("experiments.benchmark.first_step:save_detector", **detector)
        with _served(folder) as address:
            single = [post(address, _body([pair])) for pair in pairs]
            many = [post(address, _body(pairs[at : at + batch])) for at in range(0, len(pairs), batch)]
            kinds = {f"clients {count}": (single, count, 1) for count in clients}
            kinds[f"requests of {batch} pairs"] = (many, 1, batch)
            load(address, single, max(clients), WARM_SECONDS)
            contestants = {
                name: partial(load, address, requests, count, seconds) for name, (requests, count, _) in kinds.items()
            }
            found = in_turn(contestants, repeats, "serving")
            share = asyncio.run(_share_right(address, Detector.load(folder), pairs, bad_requests))
    lines = [Line(name, _figures(loads, kinds[name][2])) for name, loads in found.items()]
    lines.append(Line(f"{bad_requests} bad requests between", {"good ones answered right": [share]}))
    notes = [
        f"{tower}, {len(pairs):,} {pairs_file or 'made'} pairs; one pair a request but where more are named; {seconds:g} s "
        "each, over connections that are kept. The clients are one process on the same cores.",
        f"Bad requests: {len(BAD)} kinds (nothing, no JSON, not UTF-8, null, 1 MB, 16 MB, …), by {BAD_CLIENTS} clients, "
        f"each over the connection of the {GOOD_BETWEEN} good ones that follow.",
    ]
    return Result(lines, notes)


@contextmanager
def _served(folder: str) -> Iterator[str]:
    """Serve the detector of a folder; yields the address for requests."""
    command = [sys.executable, "-m", "experiments.serve", f"run={folder}", "port=0"]
    with subprocess.Popen(command, env=fresh_process.environment(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            announced = re.search(r"curl (\S+)", server.stdout.readline() + server.stdout.readline())
            if announced is None:
                raise RuntimeError("experiments.serve ended before it served")
            yield announced[1]
        finally:
            server.terminate()


def _body(pairs: Sequence[Pair]) -> bytes:
    return json.dumps({"dataframe_records": [{"question1": one, "question2": other} for one, other in pairs]}).encode()


def _figures(loads: Sequence[Load], pairs: int) -> dict[str, list[float]]:
    """The figures of a line of the table, from the load of each repeat and the pairs in each request."""
    if any((each.statuses != 200).any() for each in loads):
        raise RuntimeError("a good request was not answered with status 200")
    return {
        "requests per second": [each.per_second for each in loads],
        "pairs per second": [pairs * each.per_second for each in loads],
        "50th percentile ms": [each.milliseconds(50) for each in loads],
        "99th percentile ms": [each.milliseconds(99) for each in loads],
    }


async def _share_right(address: str, detector: Detector, pairs: Sequence[Pair], bad_requests: int) -> float:
    """The share of good requests that got the detector's similarity, with bad ones between them."""
    asked = pairs[:GOOD_BETWEEN]
    similarity = [detector.similarity([pair])[0] for pair in asked]
    good = [post(address, _body([pair])) for pair in asked]
    bad = list(islice(cycle(BAD), bad_requests))
    verdicts: list[bool] = []

    async def client(number: int) -> None:
        connection = await connect(address)
        for body, content_type, expected in bad[number::BAD_CLIENTS]:
            status, _ = await ask(connection, post(address, body, content_type))
            if status != expected:
                raise RuntimeError(f"a bad request was answered with status {status} instead of {expected}")
            for request, right in zip(good, similarity, strict=True):
                status, answer = await ask(connection, request)
                verdicts.append(status == 200 and json.loads(answer)["predictions"][0]["similarity"] == right)
        connection[1].close()

    await asyncio.gather(*map(client, range(BAD_CLIENTS)))
    return sum(verdicts) / len(verdicts)
