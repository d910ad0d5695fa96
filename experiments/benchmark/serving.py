"""Serving: requests a second and their latency, by this server and by others, and with bad requests between."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from experiments.benchmark import fresh_process, wrk
from experiments.benchmark.load import Seen, ask, connect, load, post
from experiments.benchmark.pairs import read_or_make
from experiments.benchmark.result import Line, Result
from experiments.benchmark.serving_rivals import commands, started
from siamese.detector import Detector
from siamese.evaluation.timing import in_turn

Pair = tuple[str, str]
WARM_SECONDS = 1.0
BATCHES = 50  # different requests of many pairs
SINGLES = 5  # times as many of one pair as a request of many has
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
    processes: Sequence[int],
    rival_processes: int,
    clients: Sequence[int],
    seconds: float,
    batch: int,
    batch_clients: int,
    bad_requests: int,
    vocabulary: int,
    width: int,
    repeats: int,
) -> Result:
    """Serve a detector with random weights by servers in processes of their own, and ask them from outside."""
    made = read_or_make(pairs_file, BATCHES * batch, vocabulary, seed=0)
    pairs = list(zip(made.left_texts(), made.right_texts(), strict=True))
    singles = [_body([pair]) for pair in pairs[: SINGLES * batch]]
    many = [_body(pairs[at : at + batch]) for at in range(0, len(pairs), batch)]
    kinds = {f"{count} clients": (singles, count, 1) for count in clients}
    kinds[f"requests of {batch} pairs"] = (many, batch_clients, batch)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "detector"
        detector = {"folder": str(folder), "tower": tower, "vocabulary": vocabulary, "width": width}
        fresh_process.call("experiments.benchmark.first_step:save_detector", **detector)
        servers, left_out = commands(folder, processes, rival_processes)
        for server, command in servers.items():  # one after the other, for each may take all cores
            with started(command, folder, singles[0]) as address:
                _ask(address, many, batch_clients, WARM_SECONDS)
                contestants = {
                    name: partial(_ask, address, bodies, count, seconds) for name, (bodies, count, _) in kinds.items()
                }
                found = in_turn(contestants, repeats, server)
                lines += [Line(f"{server}, {name}", _figures(seen, kinds[name][2])) for name, seen in found.items()]
                if bad_requests and server == next(iter(servers)):
                    right = asyncio.run(
                        _share_right(address, Detector.load(folder), pairs, many[0], batch, bad_requests)
                    )
    if bad_requests:
        lines.append(Line(f"{bad_requests} bad requests between", {"good ones answered right": [right]}))
    by = "wrk, one thread" if wrk.is_installed() else "Python, because wrk is not installed, in one process"
    notes = [
        f"{tower}, {len(pairs):,} {pairs_file or 'made'} pairs in a cycle, whose words are known after the first round; nothing "
        f"of whole questions is remembered. One pair a request but where more are named, by {batch_clients} clients; "
        f"{seconds:g} s each, over connections that are kept. The clients are {by}, on the same cores.",
        f"mlflow models serve, and FastAPI under uvicorn with httptools: {rival_processes} processes each, the same detector "
        "with all that makes it fast.",
        *left_out,
        f"Bad requests: {len(BAD)} kinds (nothing, no JSON, not UTF-8, null, 1 MB, 16 MB, …), by {BAD_CLIENTS} clients, "
        f"each over the connection of the {GOOD_BETWEEN} good ones that follow; good ones are answered as the detector does, to "
        f"the bit, those of {batch} pairs, too.",
    ]
    return Result(lines, notes)


def _ask(address: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Seen:
    if wrk.is_installed():
        return wrk.load(address, bodies, clients, max(1, round(seconds)))
    return Seen.of(load(address, [post(address, body) for body in bodies], clients, seconds))


def _body(pairs: Sequence[Pair]) -> bytes:
    return json.dumps({"dataframe_records": [{"question1": one, "question2": other} for one, other in pairs]}).encode()


def _figures(seen: Sequence[Seen], pairs: int) -> dict[str, list[float]]:
    """The figures of a line of the table, from what was seen in each repeat and the pairs in each request."""
    return {
        "requests per second": [each.per_second for each in seen],
        "pairs per second": [pairs * each.per_second for each in seen],
        "50th percentile ms": [each.milliseconds_50 for each in seen],
        "99th percentile ms": [each.milliseconds_99 for each in seen],
    }


async def _share_right(
    address: str, detector: Detector, pairs: Sequence[Pair], many: bytes, batch: int, bad_requests: int
) -> float:
    """The share of good requests that got the detector's similarity, with bad ones between them, and one of many pairs."""
    asked = pairs[:GOOD_BETWEEN]
    similarity = [detector.similarity([pair])[0] for pair in asked]
    good = [post(address, _body([pair])) for pair in asked]
    bad = list(islice(cycle(BAD), bad_requests))
    connection = await connect(address)
    _, answer = await ask(connection, post(address, many))
    connection[1].close()
    found = [each["similarity"] for each in json.loads(answer)["predictions"]]
    verdicts = [found == detector.similarity(pairs[:batch]).tolist()]

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
