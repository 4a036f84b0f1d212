"""The servers under measurement: one process each, pinned to one core, on a port of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".artifacts" / "peers"
PEER_PACKAGES = ("uvicorn==0.54", "uvloop", "httptools", "websockets", "starlette", "picows==2.3.1")
BUN_PACKAGE = "@oven/bun-linux-x64@1.4.5"
BUN = PEERS / "node_modules" / "@oven" / "bun-linux-x64" / "bin" / "bun"

SERVER_CORE = 0
LOAD_CORE = 1
START_TIMEOUT = 15.0

# The same names on both: Longwire's options are uvicorn's.
OPTIONS = (
    "--loop=uvloop", "--no-access-log", "--log-level=warning", "--ws-per-message-deflate=false",
    "--backlog=4096",
)  # fmt: skip


@dataclass(frozen=True)
class Running:
    port: int
    pid: int


def commands(port: int) -> dict[str, list[str]]:
    """Return the command of each server that can be measured."""
    python = str(PEERS / "bin" / "python")

    def longwire(app: str) -> list[str]:
        return [sys.executable, "-m", "longwire", "serve", app, f"--port={port}", *OPTIONS]

    def uvicorn(app: str) -> list[str]:
        return [
            python, "-m", "uvicorn", app, f"--port={port}", *OPTIONS,
            "--ws=websockets-sansio", "--http=httptools",
        ]  # fmt: skip

    return {
        "longwire": longwire("benchmarks.echo:app"),
        "uvicorn": uvicorn("benchmarks.echo:app"),
        "toolkit": longwire("benchmarks.toolkit_echo:app"),
        "raw-tcp": [sys.executable, "-m", "benchmarks.raw_tcp", str(port)],
        "hub": longwire("benchmarks.fanout:app"),
        "starlette": uvicorn("benchmarks.peers.starlette_loop:app"),
        "picows": [python, "-m", "benchmarks.peers.picows_server", str(port)],
        "bun": [str(BUN), "benchmarks/peers/bun_publish.js", str(port)],
    }


def install_peers(names: Iterable[str]) -> None:
    """Make the peers' environment, once; Bun, of 50 MB, only if it is measured."""
    installed = PEERS / "installed"
    if not installed.exists() or installed.read_text() != repr(PEER_PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(PEERS / "bin" / "pip"), "install", "-q", *PEER_PACKAGES], check=True)
        installed.write_text(repr(PEER_PACKAGES))
    if "bun" in names and not BUN.exists():
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(PEERS), BUN_PACKAGE],
            check=True,
        )


@contextlib.contextmanager
def running(name: str) -> Iterator[Running]:
    """Start a fresh process of the server, wait until it accepts, end it afterwards."""
    port = _free_port()
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *commands(port)[name]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        _wait_until_listening(port, process)
        yield Running(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {process.args!r}")
