"""Load: clients that ask an HTTP server at the same time, each over a connection that it keeps."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from urllib.parse import urlsplit

import numpy as np

PATIENCE = 60  # seconds for an answer
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What the clients saw."""

    latencies: np.ndarray  # float64[requests], seconds from the first byte sent to the last received
    statuses: np.ndarray  # int64[requests]
    seconds: float  # from the first request to the last answer

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, percentile: float) -> float:
        """That percentile of the latencies."""
        return 1e3 * float(np.percentile(self.latencies, percentile))


@dataclass(frozen=True)
class Seen:
    """What clients saw, in the figures that a table has."""

    per_second: float  # requests answered
    milliseconds_50: float  # percentiles of the latencies
    milliseconds_99: float

    @classmethod
    def of(cls, seen: Load) -> "Seen":
        """Those of a load; RuntimeError if a request was not answered with status 200."""
        if (seen.statuses != 200).any():
            raise RuntimeError("a good request was not answered with status 200")
        return cls(seen.per_second, seen.milliseconds(50), seen.milliseconds(99))


def post(address: str, body: bytes, content_type: str = "application/json") -> bytes:
    """A whole request with its head.

    >>> post("http://127.0.0.1:80/invocations", b"{}").splitlines()[0]
    b'POST /invocations HTTP/1.1'
    """
    parts = urlsplit(address)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def load(address: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients send the requests in a cycle, each the next one as soon as the last is answered."""
    return asyncio.run(_load(address, requests, clients, seconds))


async def _load(address: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    seen: list[tuple[float, int]] = []

    async def client(number: int) -> None:
        connection = await connect(address)
        for request in islice(cycle(requests), number * len(requests) // clients, None):
            sent = time.perf_counter()
            if sent > ends:
                break
            status, _ = await ask(connection, request)
            seen.append((time.perf_counter() - sent, status))
        connection[1].close()

    started = time.perf_counter()
    ends = started + seconds
    await asyncio.gather(*map(client, range(clients)))
    taken = time.perf_counter() - started
    latencies, statuses = zip(*seen, strict=True)
    return Load(np.array(latencies), np.array(statuses), taken)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(address: str) -> Connection:
    """A new connection to a server."""
    parts = urlsplit(address)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def ask(connection: Connection, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a whole request."""
    reader, writer = connection
    async with asyncio.timeout(PATIENCE):
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        return int(head.split(maxsplit=2)[1]), await reader.readexactly(int(length[1]) if length else 0)
