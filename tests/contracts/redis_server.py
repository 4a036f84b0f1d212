"""A real redis-server for as long as a test wants one, and the broker's setting on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from tests.contracts.remote import Remote
from tests.ports import fixed_port

COMMAND = shutil.which("redis-server") or shutil.which("valkey-server")
REQUIRED = "LONGWIRE_REQUIRE_BROKERS"
"""In the environment of a run that may not skip the tests of a broker."""

PATIENCE = 10.0


class RedisServer:
    """A process on a port of its own; what it keeps is gone when it ends.

    `arguments` are redis-server's own.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        assert COMMAND is not None
        self.port = fixed_port()
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert COMMAND is not None
        self._process = subprocess.Popen(
            [
                COMMAND, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", self._folder.name,
                "--unixsocket", self.socket_path, *self._arguments,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    @property
    def socket_path(self) -> str:
        return os.path.join(self._folder.name, "socket")

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisConnectionError:
            return False

    def client(self) -> Redis:
        """Return a client of its own; a stranger, as the brokers see it."""
        return Redis(port=self.port, retry=Retry(NoBackoff(), 0))

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


class RedisSetting(Remote):
    """Hubs on a Redis, under a prefix that nobody else has."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.port = server.port
        self.prefix = f"test{secrets.token_hex(4)}"

    def url(self, port: int | None = None) -> str:
        options = f"prefix={self.prefix}&heartbeat={self.heartbeat}&timeout={self.timeout}"
        return f"redis://127.0.0.1:{port or self.port}/0?{options}"

    def url_elsewhere(self, port: int) -> str:
        return f"redis://alice:s3cret@127.0.0.1:{port}/0?timeout={self.timeout}"

    def scribble(self, room: str) -> None:
        """Write rubbish of all kinds wherever the broker reads."""
        with self.server.client() as stranger:
            for rubbish in RUBBISH:
                stranger.publish(f"{self.prefix}:0:events:{room}", rubbish)
                stranger.rpush(f"{self.prefix}:history:{room}", rubbish)
                stranger.hset(f"{self.prefix}:present:{room}", rubbish[:20], rubbish)
                stranger.zadd(f"{self.prefix}:nodes", {rubbish: len(rubbish)})
                stranger.sadd(f"{self.prefix}:node:{rubbish[:9].hex()}", rubbish)


RUBBISH = [
    b"",
    b"\n",
    b"hello",
    b"\xff\xfe\x00",
    b"\n\n\n",
    b"\nT{}",
    b"\nT{]\n",
    b'\nT{"sender":{"id":"' + b"x" * 100_000 + b'"}}\n',
    b'\nJ{"client":{"id":"\\ud800"}}\n',
    b'\nJ{"client":{"id":"a","info":"\\ud800"}}\n',
    b'\nD{"code":1e99}\n',
    b"\nT{}\n\xff",
    b"1:k T{}\nhello",
    b"-1:k 5 a\nT{}\nhello",
    b"99999999999999999999999:k 5 a\nT{}\nhello",
    b"nan:k 5 a\nT{}\nhello",
    b"1:" + b"k" * 300 + b" 5 a\nT{}\nhello",
    b"\nT" + b"[" * 5000 + b"\n",
    b'\nJ{"client":{"id":"a","info":' + b"[" * 900 + b"]" * 900 + b"}}\n",
    b"node\nL{}\n",
    b"room\nclient",
]


@contextlib.asynccontextmanager
async def redis_setting(*arguments: str) -> AsyncIterator[RedisSetting]:
    """Start a Redis with these arguments and end it, or skip the test where there is none."""
    if COMMAND is None:
        words = "no redis-server here: apt-get install redis-server"
        if os.environ.get(REQUIRED):
            pytest.fail(words)
        pytest.skip(words)
    server = RedisServer(*arguments)
    try:
        await asyncio.to_thread(server.start)
        yield RedisSetting(server)
    finally:
        await asyncio.to_thread(server.close)
