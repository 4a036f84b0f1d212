"""Each framework's example through the real command, with the `websockets` package as the client.

In processes of their own: what a framework warns of, or configures once and for all, is its affair.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests import pure
from tests.process import PATIENCE, Process, running, running_command

pytestmark = pytest.mark.anyio

FRAMEWORKS = ["starlette", "fastapi", "litestar", "quart", "channels", "asgi"]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def example(request: pytest.FixtureRequest) -> Iterator[Process]:
    app = f"examples.frameworks.{request.param}_app:app"
    with running(app, "--port", "0", environment={"PYTHONUNBUFFERED": "1"}) as process:
        yield process


def socket(example: Process, query: str = "", room: str = "lobby", **options: Any) -> connect:
    return connect(f"{example.url.replace('http', 'ws', 1)}/ws/{room}{query}", **options)


async def test_the_page(example: Process) -> None:
    async with httpx.AsyncClient(base_url=example.url) as http:
        page = await http.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "<title>Echo with a token</title>" in page.text
        assert (await http.get("/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("query", "headers", "user"),
    [
        ("?token=token-of-ada", {}, "ada"),
        ("", {"Authorization": "Bearer token-of-bob"}, "bob"),
    ],
    ids=["query", "header"],
)
async def test_a_token_lets_in(
    example: Process, query: str, headers: dict[str, str], user: str
) -> None:
    async with socket(example, query, additional_headers=headers) as client:
        for text in ("hello", "", "héllo"):
            await client.send(text)
            answer = await asyncio.wait_for(client.recv(), PATIENCE)
            assert answer == f"{user} in lobby: {text}"


@pytest.mark.parametrize(
    ("query", "status"), [("", 401), ("?token=wrong", 403), ("?token=token-of-ad", 403)]
)
async def test_without_a_good_token_nobody_gets_in(
    example: Process, query: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await socket(example, query)
    assert refused.value.response.status_code == status


async def test_other_sites_pages_are_refused(example: Process) -> None:
    for origin in ("http://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            await socket(example, "?token=token-of-ada", origin=Origin(origin))
        assert refused.value.response.status_code == 403
    async with socket(example, "?token=token-of-ada", origin=Origin(example.url)) as client:
        await client.send("x")
        assert await asyncio.wait_for(client.recv(), PATIENCE) == "ada in lobby: x"


async def test_the_close_code_is_heard(example: Process) -> None:
    async with socket(example, "?token=token-of-ada", room="hall") as client:
        await client.close(3001, "bye")
    heard = r"ada left hall with 3001 'bye'"
    assert await asyncio.to_thread(example.wait_for, heard)


async def test_nothing_is_logged_as_an_error(example: Process) -> None:
    async with socket(example, "?token=token-of-ada", room="attic") as client:
        await client.send("x")
        await client.recv()
    await asyncio.to_thread(example.wait_for, "attic.* closed 1000")
    for line in example.lines:
        assert not line.startswith(("ERROR", "CRITICAL", "Traceback")), example.lines
        assert "token-of-ada" not in line


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_on_a_server_that_logs_queries_the_token_is_not_among_them(framework: str) -> None:
    """Some frameworks hand on copies of the scope; what the server logs is its own."""
    app = f"examples.frameworks.{framework}_app:app"
    with running_command(pure.python("uvicorn", app, "--port", "0")) as process:
        async with socket(process, "?token=token-of-ada") as client:
            await client.send("x")
            assert await asyncio.wait_for(client.recv(), PATIENCE) == "ada in lobby: x"
        with pytest.raises(InvalidStatus) as refused:
            await socket(process, "?token=wrong")
        assert refused.value.response.status_code == 403
        evil = Origin("http://evil.example")
        with pytest.raises(InvalidStatus) as refused:
            await socket(process, "?token=token-of-bob", room="hall", origin=evil)
        assert refused.value.response.status_code == 403
        for line in ("lobby.token=@.* .accepted.", "lobby.token=@.* 403", "hall.token=@.* 403"):
            await asyncio.to_thread(process.wait_for, line.replace("@", re.escape("***")))
        for line in process.lines:
            assert "token-of-" not in line
            assert "wrong" not in line
