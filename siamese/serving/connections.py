"""Connections: what every HTTP server of the project accepts of its clients, and for how long it waits for them."""

import asyncio

from h11 import IDLE
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0  # seconds from the connection, or from the first byte, to the end of a request's head
BODY_S = 60.0  # seconds from there to the end of its body
MOST_REFUSED = 2**27  # bytes that are still read of a body that is refused already
ANY = "0.0.0.0"  # every address of this machine
LOCAL = ("127.0.0.1", "localhost")


def allowed_hosts(host: str) -> list[str]:
    """The names of this machine that requests may have in their header Host, for a server that listens on `host`.

    A page of another site could otherwise ask under a name of its own that leads here (DNS rebinding).
    """
    return ["*"] if host == ANY else [*LOCAL, host]


class TimedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which closes connections that are idle, and here also those whose request never gets a whole head."""

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Go on to wait for a head, or stop."""
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        super().connection_lost(exc)
        if self._closing is not None:
            self._closing.cancel()

    def _wait_for_head(self) -> None:
        waits = self.conn.their_state is IDLE
        if waits and self._closing is None:
            self._closing = self.loop.call_later(HEAD_S, self.transport.close)
        elif not waits and self._closing is not None:
            self._closing.cancel()
            self._closing = None


async def read_body(receive: Receive, largest: int) -> bytes:
    """The body of a request. One that is too large is read on, but not kept, because clients send first, then listen.

    Raises:
        HTTPException: 413, it has more than `largest` bytes; 408, it is not whole in time.
        ClientDisconnect: the client has left.
    """
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(BODY_S):
            while more and size <= MOST_REFUSED:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part = message.get("body", b"")
                size += len(part)
                if size <= largest:
                    body += part
                more = message.get("more_body", False)
    except TimeoutError:
        problem = f"the body did not come whole within {BODY_S:g} seconds"
        raise HTTPException(408, problem, {"Connection": "close"}) from None
    if size > largest:
        problem = f"the body has more than {largest:,} bytes; ask less at once"
        raise HTTPException(413, problem, {"Connection": "close"} if more else None)
    return bytes(body)
