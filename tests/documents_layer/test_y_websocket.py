"""npm's y-websocket and yjs under Node, and pycrdt, on the real command: all agree, the store too.

`make soak` is the same for a minute, with kills of the server among its restarts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from asyncio.subprocess import Process as NodeProcess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from longwire.documents import SqliteStore
from tests.documents_layer.application import FILE
from tests.documents_layer.clients import YjsClient
from tests.documents_layer.test_serving import text_of
from tests.ports import fixed_port
from tests.process import ROOT, Process, running

SECONDS = float(os.environ.get("LONGWIRE_SOAK_SECONDS", "5"))
HERE = Path(__file__).parent / "y_websocket"
INSTALLED = ROOT / ".artifacts" / "y-websocket"
INSTALL_TIMEOUT = 120.0
PATIENCE = 40.0
"""Seconds for anything that the editors are waited for."""

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS + INSTALL_TIMEOUT + 4 * PATIENCE)]


@pytest.fixture(scope="module")
def script() -> Path:
    """The editors' script, beside the packages it imports; they are installed once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: apt-get install nodejs npm")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    manifest = (HERE / "package.json").read_text("utf-8")
    stamp = INSTALLED / "installed.json"
    if not stamp.exists() or stamp.read_text("utf-8") != manifest:
        shutil.copy(HERE / "package.json", INSTALLED)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            subprocess.run(
                command, cwd=INSTALLED, check=True, capture_output=True, timeout=INSTALL_TIMEOUT
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("npm cannot install y-websocket: is its registry reachable?")
        stamp.write_text(manifest, "utf-8")
    return Path(shutil.copy(HERE / "editors.mjs", INSTALLED))


class Node:
    """The script, running."""

    def __init__(self, process: NodeProcess) -> None:
        self._process = process

    async def ask(self, command: str) -> Any:
        """Send a command; return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), PATIENCE))


@contextlib.asynccontextmanager
async def node(script: Path, url: str) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        "node", str(script), url, "plan", "7", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        limit=2**24,
    )  # fmt: skip
    try:
        yield Node(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Server:
    """The command on one port and one file, started again and again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stack = contextlib.ExitStack()
        self._process: Process | None = None
        self.port = fixed_port()

    def start(self) -> None:
        self._process = self._stack.enter_context(
            running(
                "tests.documents_layer.application:app",
                "--port", str(self.port), "--timeout-graceful-shutdown", "1",
                environment={FILE: str(self._file)},
            )
        )  # fmt: skip
        assert self._process.url

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.signal(number)
        self._process.exit_status()
        self._stack.close()

    @property
    def lines(self) -> list[str]:
        return [] if self._process is None else self._process.lines


async def type_at_random(client: YjsClient, until: float, seed: random.Random) -> None:
    """Type, and come back whenever the connection or the server is gone."""
    while time.monotonic() < until:
        if client.ended is None or client.ended.done():
            with contextlib.suppress(OSError, WebSocketException):
                await client.connect()
        elif seed.random() < 0.02:
            await client.disconnect()
        length = len(str(client.text))
        at = seed.randint(0, length)
        content = str(client.text)
        first = len(content[:at].encode())
        last = len(content[: at + seed.choice((0, 0, 1, 2))].encode())
        await client.edit(first, seed.choice(("p", "q", "ü", "")), last - first)
        await asyncio.sleep(0.01)


async def restart_at_times(server: Server, until: float, every: float) -> int:
    """Stop the server, by turns gently and not, and start it again."""
    restarts = 0
    while time.monotonic() + every < until:
        await asyncio.sleep(every)
        number = signal.SIGKILL if restarts % 2 else signal.SIGTERM
        await asyncio.to_thread(server.stop, number)
        await asyncio.to_thread(server.start)
        restarts += 1
    return restarts


async def test_node_and_pycrdt_and_the_store_agree(script: Path, tmp_path: Path) -> None:
    file = tmp_path / "documents.db"
    server = Server(file)
    await asyncio.to_thread(server.start)
    url = f"ws://127.0.0.1:{server.port}"
    client = YjsClient(url + "/plan")
    try:
        async with node(script, url) as editors:
            until = time.monotonic() + SECONDS
            _, restarts = await asyncio.gather(
                type_at_random(client, until, random.Random(7)),
                restart_at_times(server, until, max(2.0, SECONDS / 10)),
            )
            assert restarts >= 1
            if client.ended is None or client.ended.done():
                await client.connect()
            await client.synced()
            await client.edit(0, "P")
            async with asyncio.timeout(PATIENCE):  # or nobody has been disturbed while typing
                while (await editors.ask("say"))["edits"] <= 100 * SECONDS / 2:
                    await asyncio.sleep(0.1)
            said = await editors.ask("stop")
            texts: set[str] = set()
            async with asyncio.timeout(PATIENCE):
                while len(texts) != 1 or not set("NMP") <= set(*texts):
                    await asyncio.sleep(0.1)
                    said = await editors.ask("say")
                    texts = {*said["texts"], str(client.text)}
            # Nobody was sent away for anything but the restarts, and those who read too slowly.
            assert set(said["closes"]) <= {1000, 1005, 1006, 1012, 1013}, said["closes"]
            # y-websocket believes who it has forgotten only with their next renewal, after 15 s.
            async with asyncio.timeout(PATIENCE):
                while SECONDS >= 30 and said["people"] != [2, 2]:
                    await asyncio.sleep(0.5)
                    said = await editors.ask("say")
            await client.disconnect()
        assert not [line for line in server.lines if "Traceback" in line]
        await asyncio.to_thread(server.stop)
    finally:
        server._stack.close()
        client.doc.unobserve(client._subscription)
    store = SqliteStore(file)
    assert text_of((await store.load("plan")).parts) == str(client.text)
    await store.close()
