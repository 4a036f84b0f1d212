"""A TCP proxy that can stop forwarding without a word, as a network that drops packets does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Forwards to a port of this machine, until it is told not to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._forwards = asyncio.Event()
        self._forwards.set()
        self._answers = asyncio.Event()
        self._answers.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def drop(self) -> None:
        """From now on nothing gets through: what is sent, and new connections, wait for ever."""
        self._forwards.clear()
        self._answers.clear()

    def forward(self) -> None:
        """Let everything through again, with what was held up."""
        self._forwards.set()
        self._answers.set()

    def hold_answers(self) -> None:
        """Let through what is sent, and nothing of what is answered."""
        self._answers.clear()

    def cut(self) -> None:
        """End all connections that there are; new ones can be made."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forwards.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await asyncio.gather(
                    self._pump(reader, far_writer, self._forwards),
                    self._pump(far_reader, writer, self._answers),
                )
            finally:
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # one of the two ends has gone, or the test has ended
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await may_pass.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to that port."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
