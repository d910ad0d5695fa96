"""Clients of HTTP servers that run in a thread of the tests: they send what no library sends, byte by byte."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from siamese.serving.connections import config

Address = tuple[str, int]
HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
AT_ONCE = struct.pack("ii", 1, 0)  # closes a connection by a reset


@contextmanager
def running(app: ASGIApp) -> Iterator[Address]:
    """Serve an app as the programs do: its address."""
    server = uvicorn.Server(config(app))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def rest(client: socket.socket) -> bytes:
    """What a server still sends until it closes the connection, which it must do within a few seconds."""
    client.settimeout(10)
    received = b""
    while part := client.recv(2**16):
        received += part
    return received


def leave(address: Address, path: str) -> None:
    """Begin requests of every kind, and leave in the middle of each; then ask a whole one, which is answered."""
    body = b'{"left": "a", "right": "b", "dataframe_records": [{"question1": "a", "question2": "b"}]}'
    head = HEAD.format(path=path).encode()
    whole = b"Content-Length: %d\r\n\r\n" % len(body)
    for sent in (
        head[:20],
        head + whole,
        head + whole + body[:10],
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        head + whole + body,
    ):
        for reset in (False, True):
            with socket.create_connection(address) as client:
                client.sendall(sent)
                time.sleep(0.02)  # until the server has seen some of it
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    with socket.create_connection(address) as client:
        client.sendall(head + b"Connection: close\r\n" + whole + body)
        assert rest(client).startswith(b"HTTP/1.1 ")
