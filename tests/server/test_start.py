"""From the start to the end of the process: signals while it starts, the time its end has."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from longwire.asgi import Receive, Scope, Send
from tests.conftest import Serve
from tests.process import running

HANGING = """
import asyncio
async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaning up", flush=True)
        await asyncio.sleep({seconds})
        print("cleaned up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_up_that_hangs(tmp_path: Path, number: int) -> None:
    (tmp_path / "hanging.py").write_text(HANGING.format(seconds=0))
    with running("hanging:app", "--port=0", cwd=tmp_path) as process:
        process.wait_for("starting")
        process.signal(number)
        assert process.exit_status() == 0
    assert process.lines[1:] == [
        "cleaning up",
        "cleaned up",
        "INFO     stopped before the start-up was done",
    ]


def test_a_second_signal_does_not_wait_for_the_clean_up(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGING.format(seconds=3600))
    with running("hanging:app", "--port=0", cwd=tmp_path) as process:
        process.wait_for("starting")
        process.signal(signal.SIGTERM)
        process.wait_for("cleaning up")
        process.signal(signal.SIGTERM)
        assert process.exit_status() == 0
    assert process.lines[-1].endswith("stopped before the start-up was done")


@pytest.mark.anyio
async def test_the_shutdown_has_time_when_the_drain_has_none(serve: Serve) -> None:
    closed = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        closed.append("files")
        await send({"type": "lifespan.shutdown.complete"})

    async with serve(app, lifespan="on", timeout_graceful_shutdown=0) as server:
        assert await server.server.finish() == 0
        assert closed == ["files"]
