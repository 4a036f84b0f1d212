"""The toolkit on other servers: the same behaviour, or a deviation of the server's that is known.

A deviation is an entry in SERVERS and a line in docs/toolkit-servers.md. It is asserted, so that a
release of the server that behaves fails here, and its entry is removed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests import pure, wire
from tests.process import PATIENCE, Process, running_command
from tests.toolkit.behaviours import MESSAGES

pytestmark = pytest.mark.anyio

APP = "tests.toolkit.behaviours:app"


@dataclass(frozen=True)
class Server:
    """A server, and what the toolkit tells applications on it; the defaults are what is right."""

    name: str
    command: tuple[str, ...]

    closed: tuple[int, str, str] = (3001, "bye", "client")
    """Code, reason and by whom, when the client has closed with 3001 "bye"."""

    lost: tuple[int, str] = (1006, "nobody")
    """Code and by whom, when TCP was lost without a close frame."""

    send_when_lost: int | None = 1006
    """The code that send() raises when TCP was lost; None where sends are dropped in silence."""

    logs_query_before: bool = False
    """Whether the query is logged before the application runs, which then cannot hide a token."""

    refusal_in_log: int = 401
    """The status that the log has for a handshake that was refused with 401."""

    logs_refusal_as_error: bool = False
    """Whether a denial response leaves a line that says the application did not answer."""


SERVERS = [
    Server("longwire", ("longwire", "serve", APP, "--port", "0")),
    Server(
        "uvicorn, websockets-sansio",
        ("uvicorn", APP, "--port", "0", "--ws", "websockets-sansio"),
        lost=(1005, "client"),
        logs_refusal_as_error=True,
    ),
    Server(
        "uvicorn, wsproto",
        ("uvicorn", APP, "--port", "0", "--ws", "wsproto"),
        lost=(1005, "client"),
    ),
    Server(
        "hypercorn",
        (
            "hypercorn", APP, "--bind", "127.0.0.1:0",
            "--access-logfile", "-", "--access-logformat", "access %(Uq)s %(s)s",
        ),
        closed=(1006, "", "nobody"),
        send_when_lost=None,
    ),
    Server(
        "granian",
        (
            "granian", APP, "--interface", "asgi", "--port", "0",
            "--access-log", "--access-log-fmt", "access %(path)s?%(query_string)s %(status)d",
        ),
        closed=(3001, "", "client"),
        lost=(1005, "client"),
        send_when_lost=None,
        logs_query_before=True,
        refusal_in_log=101,
    ),
]  # fmt: skip


class Running:
    """A server that runs, and what the handlers on it have told."""

    host = "127.0.0.1"

    def __init__(self, server: Server, process: Process) -> None:
        self.server = server
        self.process = process
        self.port = int(process.wait_for(r"http://127\.0\.0\.1:(\d+)")[1]) or bound_port(process)
        self._ids = itertools.count()

    def url(self, path: str) -> str:
        return f"ws://{self.host}:{self.port}{path}"

    def new_id(self) -> str:
        return f"connection-{next(self._ids)}-"

    async def told(self, id: str) -> Any:
        """Return what the handler of the connection with this id has told."""
        return json.loads((await self.logged(f"told {id} (.*)"))[1])

    async def logged(self, pattern: str) -> re.Match[str]:
        """Return the match of the first line that has the pattern, once it is there."""
        return await asyncio.to_thread(self.process.wait_for, pattern)


def bound_port(process: Process) -> int:
    """Return the port from the system: granian says that it listens on 0."""
    family = psutil.Process(process.popen.pid)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for member in (family, *family.children(recursive=True)):
            for connection in member.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    return int(connection.laddr.port)
        time.sleep(0.05)
    raise AssertionError(process.lines)


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_command(pure.python(*request.param.command)) as process:
        yield Running(request.param, process)


async def test_text_bytes_and_json(running: Running) -> None:
    async with connect(running.url("/echo")) as client:
        await client.send("h\u00e9llo")
        assert await received(client) == "h\u00e9llo"
        await client.send(b"\x00\xff")
        assert await received(client) == b"\x00\xff"
        await client.send('{"a": [1, null]}')
        assert await received(client) == '{"a":[1,null]}'
        with pytest.raises(ConnectionClosed):
            await received(client)
        assert (client.close_code, client.close_reason) == (4001, "echoed")


async def test_empty_messages(running: Running) -> None:
    async with connect(running.url("/echo")) as client:
        await client.send("")
        assert await received(client) == ""
        await client.send(b"")
        assert await received(client) == b""


async def test_a_refusal_has_its_status_its_headers_and_its_body(running: Running) -> None:
    for query, status, body in (
        ("", 401, b"a token is needed"),
        ("?token=wrong", 403, b"the token is not valid"),
    ):
        id = running.new_id()
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url(f"/private/{id}{query}"))
        response = refused.value.response
        assert (response.status_code, bytes(response.body)) == (status, body)
        assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        if status == 401:
            await running.logged(rf"/private/{id}\W.*\b{running.server.refusal_in_log}\b")
    error = "returned without completing handshake"
    if running.server.logs_refusal_as_error:
        await running.logged(error)
    else:
        assert not any(error in line for line in running.process.lines)


async def test_another_sites_page_is_refused(running: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(running.url("/echo"), origin=Origin("http://evil.example"))
    assert refused.value.response.status_code == 403
    own = Origin(f"http://{running.host}:{running.port}")
    async with connect(running.url("/echo"), origin=own) as client:
        await client.send("x")
        assert await received(client) == "x"


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [(["chat.v1", "chat.v2"], "chat.v1"), (["x", "chat.v2"], "chat.v2"), (["x"], None)],
)
async def test_subprotocols(running: Running, offered: list[str], accepted: str | None) -> None:
    url = running.url(f"/subprotocol/{running.new_id()}")
    async with connect(url, subprotocols=[Subprotocol(name) for name in offered]) as client:
        assert client.subprotocol == accepted


@pytest.mark.parametrize("path", ["listen", "closed"])
async def test_the_clients_close_is_heard(running: Running, path: str) -> None:
    """`closed`: the handler awaits nothing but the end."""
    id = running.new_id()
    async with connect(running.url(f"/{path}/{id}")) as client:
        await client.close(3001, "bye")
    told = await running.told(id)
    assert (told["code"], told["reason"], told["by"]) == running.server.closed


@pytest.mark.parametrize("path", ["listen", "closed"])
async def test_a_lost_connection_is_heard(running: Running, path: str) -> None:
    id = running.new_id()
    async with wire.websocket(running, f"/{path}/{id}") as client:
        client.reset()
        told = await running.told(id)
    assert (told["code"], told["by"]) == running.server.lost


async def test_a_lost_connection_is_heard_by_whoever_only_sends(running: Running) -> None:
    id = running.new_id()
    expected = running.server.send_when_lost
    # A send that is to raise does so whenever we have gone; the others show in a second that none
    # does.
    seconds = 1 if expected is None else 20
    async with wire.websocket(running, f"/talk/{id}?seconds={seconds}") as client:
        assert await client.message()
        client.reset()
        told = await running.told(id)
    assert told["send"] == expected
    assert told["receive"] == (expected or running.server.lost[0])


@pytest.mark.parametrize("path", ["/impatient", "/fastapi/impatient"])
async def test_a_receive_that_is_given_up_loses_no_message(running: Running, path: str) -> None:
    id = running.new_id()
    async with connect(running.url(f"{path}/{id}")) as client:
        for number in range(MESSAGES):
            await client.send(str(number))
            await asyncio.sleep(0.0005 if number % 7 else 0.002)
        told = await running.told(id)
    assert told["given_up"] > 0
    assert (told["missing"], told["in_order"]) == ([], True)


@pytest.mark.parametrize("case", ["let in", "refused", "another site"])
async def test_a_token_in_the_query_is_in_no_log(running: Running, case: str) -> None:
    id = running.new_id()
    token = "wrong" if case == "refused" else "secret-of-ada"
    origin = Origin("http://evil.example") if case == "another site" else None
    opening = connect(running.url(f"/private/{id}?token={token}"), origin=origin)
    if case == "let in":
        async with opening as client:
            assert await received(client) == "hello ada"
    else:
        with pytest.raises(InvalidStatus):
            await opening
    await running.logged(f"/private/{id}.*(opened|accepted|101|refused|403)")
    shown = [line for line in running.process.lines if f"/private/{id}" in line]
    assert any(token in line for line in shown) is running.server.logs_query_before, shown
    if running.server.name != "longwire":  # which logs no query at all
        hidden = f"token={token}" if running.server.logs_query_before else "token=***"
        assert any(f"/private/{id}?{hidden}" in line for line in shown), shown


async def received(client: ClientConnection) -> str | bytes:
    return await asyncio.wait_for(client.recv(), PATIENCE)
