"""Connections: what every HTTP server of the project accepts of its clients, and for how long it waits for them."""

import asyncio
import socket
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 2**16  # bytes of a request's head
DRAIN_S = 1.0  # seconds in which a client that keeps its connection may still ask a server that ends
HEAD_S = 10.0  # seconds from the connection, or from the first byte, to the end of a request's head
BODY_S = 60.0  # seconds from there to the end of its body
READ_S = 60.0  # seconds in which a client must take some of an answer that waits for it
MOST = 500  # connections at once, fewer than the files that a process may open; a request gets status 503 while there are as many
MOST_REFUSED = 2**27  # bytes that are still read of a body that is refused already
ANY = "0.0.0.0"  # every address of this machine
LOCAL = ("127.0.0.1", "localhost")


def allowed_hosts(host: str) -> list[str]:
    """The names of this machine that requests may have in their header Host, for a server that listens on `host`.

    A page of another site could otherwise ask under a name of its own that leads here (DNS rebinding).
    """
    return ["*"] if host == ANY else [*LOCAL, host]


def page_headers(policy: Mapping[str, str]) -> dict[str, str]:
    """The headers of a page that loads nothing but what its Content-Security-Policy allows, and tells other sites nothing."""
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class DrainingConfig(Config):
    """uvicorn's settings, and whether the server is about to end."""

    ending = False


class DrainingServer(Server):
    """A server that loses no request when it ends: its last answer on a connection tells the client to close it."""

    config: DrainingConfig

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and end when the others are closed."""
        self.config.ending = True
        await super().shutdown(sockets)


def config(app: ASGIApp) -> DrainingConfig:
    """How uvicorn serves an app of the project."""
    return DrainingConfig(
        app,
        http=TimedProtocol,
        loop="asyncio",
        limit_concurrency=MOST,
        ws="none",
        lifespan="off",
        log_config=None,  # else it sets up the logging of the whole process
        access_log=False,
        log_level="error",
        server_header=False,
    )


class TimedProtocol(HttpToolsProtocol):
    """HTTP/1.1 of uvicorn, which closes idle connections.

    Here those are closed, too, whose request never gets a whole head, and whose client does not take its answer.
    """

    config: DrainingConfig
    _part = "head"  # of a request that comes next, or goes on: head, body, or none
    _head_bytes = 0
    _closing: asyncio.TimerHandle | None = None
    _aborting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()
        if self.config.ending:
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        """Go on to wait for a head, or stop."""
        self._part = "head" if self._part == "none" else self._part
        before = self._part
        super().data_received(data)
        if self._part == "head":
            self._head_bytes += len(data) if before == "head" else 1
            if self._head_bytes > MOST_HEAD and not self.transport.is_closing():
                self.send_400_response(f"The head of a request has at most {MOST_HEAD} bytes.")
        self._wait_for_head()

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        super().on_message_begin()
        self._part = "head"

    def on_headers_complete(self) -> None:
        """Start to answer; if the server ends, the connection is closed behind the answer."""
        super().on_headers_complete()
        self._part, self._head_bytes = "body", 0
        if self.config.ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The last byte of a request is there."""
        super().on_message_complete()
        self._part = "none"

    def shutdown(self) -> None:
        """Close the connection behind the answer under way, or the next one, or after a while without any."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(DRAIN_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self._head_bytes:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        super().connection_lost(exc)
        for timer in filter(None, (self._closing, self._aborting)):
            timer.cancel()

    def pause_writing(self) -> None:
        """Start to wait for the client, behind whose connection an answer has piled up."""
        super().pause_writing()
        self._wait_for_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stop to wait: the client has taken what was there."""
        super().resume_writing()
        if self._aborting is not None:
            self._aborting.cancel()

    def _wait_for_reader(self, waiting: int) -> None:
        """Let the client go if in `READ_S` it takes nothing of the bytes that wait for it."""

        def look() -> None:
            left = self.transport.get_write_buffer_size()
            if left < waiting:
                self._wait_for_reader(left)
            else:
                self.transport.abort()

        self._aborting = self.loop.call_later(READ_S, look)

    def _wait_for_head(self) -> None:
        waits = self._part == "head"
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
