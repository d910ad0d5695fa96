"""Connections: clients that send too little, too slowly or without end are let go, and hold up nobody."""

import importlib
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from siamese.serving import connections
from siamese.serving.scoring_server import EXCEPTION_HANDLERS
from tests.clients import HEAD, rest

LARGEST = 1_000
ASK = HEAD.format(path="/").encode()
WHOLE = ASK + b"Content-Length: 2\r\n\r\n{}"


@pytest.fixture
def address(running, monkeypatch):
    """A server that answers with the number of bytes that it read."""
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    monkeypatch.setattr(connections, "BODY_S", 0.4)
    monkeypatch.setattr(connections, "MOST_REFUSED", 10 * LARGEST)

    with running(counting()) as address:
        yield address


def counting() -> Starlette:
    async def length(request: Request) -> Response:
        return JSONResponse(len(await connections.read_body(request.receive, LARGEST)))

    return Starlette(routes=[Route("/", length, methods=["POST"])], exception_handlers=EXCEPTION_HANDLERS)


def answered(client: socket.socket) -> bytes:
    """The answer to one request over a connection that stays open."""
    client.settimeout(10)
    received = b""
    while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
        received += client.recv(2**16)
    return received


def test_whole_requests_are_answered_over_one_connection(address):
    with socket.create_connection(address) as client:
        for _ in range(3):
            client.sendall(WHOLE)
            assert answered(client).endswith(b"\r\n\r\n2")
            time.sleep(0.25)  # together longer than one head may take


@pytest.mark.parametrize("first", [b"", WHOLE])
def test_a_head_that_does_not_come_whole_ends_the_connection(address, first):
    """However often another byte comes; also behind a request that was answered."""
    with socket.create_connection(address) as client:
        client.sendall(first)
        if first:
            answered(client)
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for byte in ASK * 10:
                client.sendall(bytes([byte]))
                time.sleep(0.05)
        assert 0.3 < time.monotonic() - started < 5


def test_a_silent_connection_ends(address):
    with socket.create_connection(address) as client:
        assert rest(client) == b""


def test_a_body_that_does_not_come_whole_is_told_and_ends_the_connection(address):
    for length in (b"Content-Length: 10\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        with socket.create_connection(address) as client:
            client.sendall(ASK + length)
            answer = rest(client)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(
            b'{"error_code":"REQUEST_TIMEOUT","message":"the body did not come whole within 0.4 seconds"}'
        )


def test_a_body_without_end_has_one(address):
    with socket.create_connection(address) as client:
        client.sendall(ASK + b"Transfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(100_000):
                client.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
                time.sleep(0.0005)


def test_a_large_body_is_refused_and_the_connection_stays(address):
    with socket.create_connection(address) as client:
        client.sendall(ASK + b"Content-Length: 1001\r\n\r\n" + b" " * 1_001)
        assert b"the body has more than 1,000 bytes; ask less at once" in answered(client)
        client.sendall(WHOLE)
        assert answered(client).endswith(b"\r\n\r\n2")


def test_a_client_that_does_not_take_its_answer_is_let_go(running, monkeypatch):
    monkeypatch.setattr(connections, "READ_S", 0.4)
    with running(Response(b" " * 2**26)) as address, socket.create_connection(address) as client:
        client.sendall(WHOLE)
        time.sleep(3)  # seven times READ_S, also where others use the cores
        client.settimeout(10)
        received = 0
        with suppress(ConnectionResetError):
            while part := client.recv(2**20):
                received += len(part)
        assert received < 2**26


def test_one_that_takes_it_slowly_gets_it_all(running, monkeypatch):
    monkeypatch.setattr(connections, "READ_S", 0.6)
    with running(Response(b" " * 2**24)) as address, socket.create_connection(address) as client:
        client.sendall(WHOLE)
        client.settimeout(10)
        received = 0
        while received < 2**24:  # for longer than READ_S
            time.sleep(0.1)
            part = client.recv(2**20)
            assert part
            received += len(part)


def test_connections_have_a_number(running, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 4)
    with running(Response(b"yes")) as address, ExitStack() as stack:
        clients = []
        for _ in range(3):
            clients.append(stack.enter_context(socket.create_connection(address)))
            clients[-1].sendall(WHOLE)
            assert answered(clients[-1]).endswith(b"yes")
        with socket.create_connection(address) as another:
            another.sendall(WHOLE)
            assert rest(another).startswith(b"HTTP/1.1 503 ")
        clients[0].sendall(WHOLE)
        assert answered(clients[0]).endswith(b"yes")


def test_a_head_without_end_has_one(address):
    with socket.create_connection(address) as client:
        client.sendall(ASK)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(2_000):
                client.sendall(b"X-Name: " + b"x" * 1_000 + b"\r\n")
                time.sleep(0.0001)


def test_line_ends_between_requests_do_not_keep_a_connection(address):
    with socket.create_connection(address) as client:
        client.sendall(WHOLE)
        answered(client)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(500):
                client.sendall(b"\r\n")
                time.sleep(0.02)


def test_a_server_that_ends_answers_who_keeps_a_connection_and_tells_him_to_close_it(monkeypatch):
    monkeypatch.setattr(connections, "DRAIN_S", 0.5)
    server = connections.DrainingServer(connections.config(counting()))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        with ExitStack() as stack:
            asked, idle, new = (
                stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(3)
            )
            for client in (asked, idle):
                client.sendall(WHOLE)
                assert b"connection: close" not in answered(client)
            server.should_exit = True
            while not server.config.ending:
                time.sleep(0.01)
            for client in (asked, new):
                client.sendall(WHOLE)
                last = rest(client)
                assert b"connection: close" in last
                assert last.endswith(b"\r\n\r\n2")
            assert rest(idle) == b""
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.parametrize("module", ["siamese.serving", "siamese.serving.scoring_server"])
def test_the_names_that_saved_models_import_are_there(module):
    found = importlib.import_module(module)
    assert found.ANSWERS["similarity"] == "double"
    assert callable(found.answers)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        found.nothing  # noqa: B018
