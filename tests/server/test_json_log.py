"""Structured logs: one object a line, with the figures of the text lines as fields."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.server.json_log import JsonFormatter
from longwire.server.reports import FIELDS
from tests.conftest import Serve
from tests.wire import close, connect, request, text, websocket

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"
HEADERS: dict[str, str | None] = {
    "Cookie": f"session={SECRET}",
    "Authorization": f"Bearer {SECRET}",
}
RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Lines:
    """What a handler with our formatter has written to a stream."""

    def __init__(self) -> None:
        self.stream = StringIO()

    def read(self) -> list[dict[str, Any]]:
        """Return each line as an object, whatever counts as the end of a line anywhere."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def of(self, event: str) -> dict[str, Any]:
        (found,) = [line for line in self.read() if line.get("event") == event]
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Our logger writes JSON, by a logging configuration as a user has one."""
    written = Lines()
    logger = logging.getLogger("longwire")
    before = logger.handlers[:], logger.level, logger.propagate
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": "longwire.server.json_log.JsonFormatter"}},
            "handlers": {
                "json": {
                    "class": "logging.StreamHandler",
                    "stream": written.stream,
                    "formatter": "json",
                }
            },
            "loggers": {"longwire": {"handlers": ["json"], "level": "INFO", "propagate": False}},
        }
    )
    yield written
    logger.handlers[:], _, logger.propagate = before
    logger.setLevel(before[1])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body"})
        return
    await receive()
    if scope["path"] == "/refuse":
        return
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event["text"] == "raise":
            raise ValueError("one line\nand \u2028 another \x1b[31m")
        await send({**event, "type": "websocket.send"})


def assert_common(line: dict[str, Any], client: Any, path: str) -> None:
    assert re.fullmatch(RFC_3339, line["time"])
    assert line["level"] in ("INFO", "ERROR")
    assert line["client"] == "{}:{}".format(*client.socket.getsockname()[:2])
    assert line["path"] == path
    assert SECRET not in json.dumps(line)


async def test_a_websocket_has_a_line_when_it_opens_and_one_when_it_ends(
    serve: Serve, lines: Lines
) -> None:
    async with serve(app) as server:
        async with websocket(server, f"/chat?token={SECRET}", headers=HEADERS) as client:
            await client.send(text("hello"))
            await client.message()
            await client.send(close(4001, b"bye\n"))
            await client.ended()
            opened, closed = lines.read()
            assert_common(opened, client, "/chat")
            assert_common(closed, client, "/chat")
    assert (opened["event"], opened["logger"]) == ("websocket.opened", "longwire.access")
    assert 0 <= closed.pop("seconds") < 5
    figures = {name: closed[name] for name in FIELDS if name in closed}
    assert {**figures, "client": "", "path": ""} == {
        "event": "websocket.closed",
        "client": "",
        "path": "",
        "code": 4001,
        "by": "client",
        "reason": "bye\n",
        "messages_received": 1,
        "bytes_received": len(text("hello") + close(4001, b"bye\n")),
        "messages_sent": 1,
        "bytes_sent": 7 + 4,
    }


async def test_a_refused_websocket_and_a_request(serve: Serve, lines: Lines) -> None:
    async with serve(app) as server:
        async with connect(server) as client:
            await client.send(request(f"/refuse?token={SECRET}", headers=HEADERS))
            assert (await client.response()).status == 500
            refused = lines.of("websocket.refused")
            assert refused["status"] == 500
            assert_common(refused, client, "/refuse")
            unanswered = lines.of("application.unanswered")
            assert (unanswered["level"], unanswered["logger"]) == ("ERROR", "longwire.error")
            assert_common(unanswered, client, "/refuse")
        async with connect(server) as client:
            await client.send(f"GET /page?t={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await client.response()).status == 404
            line = lines.of("http.request")
            assert (line["method"], line["status"]) == ("GET", 404)
            assert_common(line, client, "/page")


async def test_an_exception_is_one_string(serve: Serve, lines: Lines) -> None:
    async with serve(app) as server, websocket(server) as client:
        await client.send(text("raise"))
        assert (await client.close_frame()).code == 1011
        line = lines.of("application.raised")
        assert_common(line, client, "/")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: one line\nand \u2028 another \x1b[31m")
    assert not re.search(r"[^\x20-\x7e\n]", lines.stream.getvalue())


async def test_a_path_cannot_write_a_line_of_its_own(serve: Serve, lines: Lines) -> None:
    forged = "/%0A%7B%22event%22:%22http.request%22%7D%E2%80%A8%1B%5B31m"
    async with serve(app) as server, connect(server) as client:
        await client.send(f"GET {forged} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await client.response()
        (line,) = lines.read()
        assert_common(line, client, forged)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("a\nb\r\u2028\u2029\x85\x00\x7f\x9b", "a\nb\r\u2028\u2029\x85\x00\x7f\x9b"),
        ("é 漢 😀", "é 漢 😀"),
        ("half \ud800 a pair", "half ? a pair"),
    ],
)
def test_any_text_is_one_line_that_any_parser_reads(message: str, said: str) -> None:
    record = logging.LogRecord("longwire.error", logging.ERROR, "", 0, "%s", (message,), None)
    written = JsonFormatter().format(record)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["message"] == said


def test_fields_that_json_has_no_form_for_are_text_and_others_stay_out() -> None:
    record = logging.LogRecord("longwire", logging.INFO, "", 0, "x", (), None)
    record.__dict__.update(seconds=float("nan"), code={1}, reason=None, headers=SECRET)
    line = json.loads(JsonFormatter().format(record))
    assert (line["seconds"], line["code"], line["reason"]) == ("nan", "{1}", None)
    assert "headers" not in line


def test_a_stack_and_an_exception_that_is_text_already() -> None:
    record = logging.LogRecord("longwire", logging.INFO, "", 0, "x", (), None, sinfo="Stack:\n f")
    record.exc_text = "Traceback"
    line = json.loads(JsonFormatter().format(record))
    assert (line["stack"], line["exception"]) == ("Stack:\n f", "Traceback")
    try:
        raise KeyError("k")
    except KeyError:
        record.exc_info = sys.exc_info()
    assert json.loads(JsonFormatter().format(record))["exception"].endswith("KeyError: 'k'")
