"""Several workers: even, watched, replaced without a refused connection, reloaded."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.cli.source import put, version
from tests.process import PATIENCE, Process, running
from tests.wire import Wire, close, connect, request, text, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

APP = """
import asyncio, os, time

VERSION = 1

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(os.getpid())})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    else:
        if scope["path"] == "/die":
            os._exit(7)
        if scope["path"] == "/hang":
            time.sleep(60)
        body = f"{os.getpid()} {VERSION}".encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
"""

DYING = "import os\nos._exit(9)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    return tmp_path


def start(folder: Path, *options: str, workers: int = 2) -> Any:
    return running(
        "served:app", "--port=0", f"--workers={workers}", "--no-access-log", *options, cwd=folder
    )


def at(server: Process) -> SimpleNamespace:
    """Where it listens, as tests.wire wants it."""
    parts = urlsplit(server.url)
    return SimpleNamespace(host=parts.hostname, port=parts.port)


def get(server: Process, path: str = "/") -> tuple[int, int]:
    """Return a worker's process and its version of the application."""
    pid, version = httpx.get(server.url + path, timeout=10).text.split()
    return int(pid), int(version)


def workers_of(server: Process) -> set[int]:
    assert server.url  # it says so once all of them are ready
    return {child.pid for child in psutil.Process(server.popen.pid).children()}


async def until(predicate: Any, within: float = PATIENCE) -> None:
    async with asyncio.timeout(within):
        while not predicate():
            await asyncio.sleep(0.05)


async def test_long_lived_connections_are_spread_evenly(folder: Path) -> None:
    sockets, count = 2000, 4
    with start(folder, workers=count) as server:
        where = at(server)
        async with AsyncExitStack() as stack:
            served: Counter[str] = Counter()

            async def open_one() -> None:
                client: Wire = await stack.enter_async_context(websocket(where))
                served[str(await client.message())] += 1

            for _ in range(0, sockets, 50):
                await asyncio.gather(*(open_one() for _ in range(50)))
            assert len(served) == count
            assert max(served.values()) <= 1.3 * sockets / count, served


async def test_a_worker_that_dies_takes_only_its_own_connections(folder: Path) -> None:
    with start(folder) as server:
        where = at(server)
        async with AsyncExitStack() as stack:
            clients: dict[int, Wire] = {}
            while len(clients) < 2:
                client = await stack.enter_async_context(websocket(where))
                clients.setdefault(int(str(await client.message())), client)
            victim, other = clients
            os.kill(victim, signal.SIGKILL)
            assert (await clients[victim].ended()).code is None
            server.wait_for(rf"worker \d \(process {victim}\) was killed by SIGKILL; its connec")
            await until(lambda: len(workers_of(server)) == 2)
            await clients[other].send(text("still there") + close())
            assert (await clients[other].ended()).code == 1000


async def test_a_worker_whose_loop_stands_still_is_replaced(folder: Path) -> None:
    with start(folder, "--timeout-worker-healthcheck=2") as server:
        before = workers_of(server)
        with pytest.raises(httpx.HTTPError):
            await asyncio.to_thread(httpx.get, server.url + "/hang", timeout=20)
        server.wait_for(r"has not turned its event loop for 2 s; its connections are lost")
        await until(lambda: len(workers_of(server) - before) == 1)
        await until(lambda: len(workers_of(server) & before) == 1)


async def test_a_worker_that_keeps_dying_is_started_ever_more_seldom(folder: Path) -> None:
    with start(folder) as server:
        victims = workers_of(server)
        put(folder, DYING)
        os.kill(min(victims), signal.SIGKILL)
        for delay in ("0.5", "1", "2"):
            server.wait_for(rf"starting worker \d again in {delay} s")
        put(folder, APP)
        await until(lambda: len(workers_of(server)) == 2)
        assert {get(server)[0] for _ in range(20)} <= workers_of(server)


async def test_no_connection_is_refused_through_three_restarts(folder: Path) -> None:
    with start(folder, "--timeout-graceful-shutdown=3") as server:
        where = at(server)
        seen: set[int] = set()
        is_over = False

        async def keep_connecting() -> int:
            count = 0
            while not is_over:
                async with websocket(where) as client:
                    seen.add(int(str(await client.message())))
                    await client.send(close())
                    assert (await client.ended()).code in (1000, 1012)
                count += 1
            return count

        connecting = [asyncio.create_task(keep_connecting()) for _ in range(4)]
        for _ in range(3):
            before = workers_of(server)
            server.signal(signal.SIGHUP)
            await until(lambda before=before: not workers_of(server) & before)
            await until(lambda: workers_of(server) <= seen)
        is_over = True
        assert sum(await asyncio.gather(*connecting)) > 100
        assert len(seen) == 8


async def test_sockets_of_a_replaced_worker_are_told_1012(folder: Path) -> None:
    with start(folder) as server:
        async with websocket(at(server)) as client:
            await client.message()
            server.signal(signal.SIGHUP)
            assert (await client.close_frame()).code == 1012


async def test_a_worker_that_has_served_enough_is_replaced_and_drains(folder: Path) -> None:
    options = ("--limit-max-requests=5", "--limit-max-requests-jitter=3")
    with start(folder, *options, workers=1 + 1) as server:
        before = workers_of(server)
        async with websocket(at(server)) as client:
            await client.message()
            closed = asyncio.create_task(client.close_frame())
            while not closed.done():
                await asyncio.to_thread(get, server)
            assert (await closed).code == 1012
        await until(lambda: not workers_of(server) & before)
        assert not [line for line in server.lines if "ERROR" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_all_workers(folder: Path, number: int) -> None:
    with start(folder) as server:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(websocket(at(server))) for _ in range(8)]
            for client in clients:
                await client.message()
            workers = workers_of(server)
            server.signal(number)
            for client in clients:
                assert (await client.close_frame()).code == 1012
                await client.send(close(1012))
            assert await asyncio.to_thread(server.exit_status) == 0
            assert not [pid for pid in workers if psutil.pid_exists(pid)]


async def test_a_second_signal_does_not_wait(folder: Path) -> None:
    patient = ("--timeout-graceful-shutdown=60", "--ws-close-timeout=60")
    with start(folder, *patient) as server:
        async with websocket(at(server)) as client:
            await client.message()
            server.signal(signal.SIGTERM)
            await client.close_frame()  # and it is never answered
            server.signal(signal.SIGTERM)
            await asyncio.to_thread(server.exit_status)  # within PATIENCE: not a minute


async def test_workers_end_with_their_supervisor(folder: Path) -> None:
    with start(folder, "--timeout-graceful-shutdown=1") as server:
        get(server)
        workers = workers_of(server)
        server.popen.kill()
        await until(lambda: not [pid for pid in workers if psutil.pid_exists(pid)])


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("nothing = 1", 1, "longwire: "),
        ("def app(", 1, "longwire: "),
        (APP.replace("startup.complete", "startup.failed"), 3, "longwire: "),
    ],
    ids=["no app", "syntax error", "failing start-up"],
)
def test_what_does_not_start_says_so_once(
    folder: Path, source: str, status: int, said: str
) -> None:
    put(folder, source)
    with start(folder, workers=3) as server:
        assert server.exit_status() == status
        assert len([line for line in server.lines if said in line]) == 1, server.lines
        assert not [line for line in server.lines if "Traceback" in line]


def test_a_port_in_use_is_one_line_even_if_its_owner_would_share_it(folder: Path) -> None:
    with start(folder) as server:
        port = urlsplit(server.url).port
        with running("served:app", f"--port={port}", "--workers=2", cwd=folder) as second:
            assert second.exit_status() == 1
            assert second.lines == [
                f"longwire: port {port} on 127.0.0.1 is in use: choose another with --port"
            ]


async def status_at(path: Path) -> int:
    """Ask on a new connection: one that is kept may be closed by a worker just then."""
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get("http://test/")).status_code


async def test_unix_socket_and_workers(folder: Path) -> None:
    path = folder / "s"
    with running(
        "served:app", f"--uds={path}", "--workers=2", "--no-access-log", cwd=folder
    ) as server:
        server.wait_for("2 workers")
        assert await status_at(path) == 200
        server.signal(signal.SIGHUP)
        server.wait_for("going away")
        assert await status_at(path) == 200
        server.signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.exit_status) == 0
        assert not path.exists()


# ---- reload ---------------------------------------------------------------------------------


async def test_a_change_reloads_and_an_open_socket_hangs_nothing(folder: Path) -> None:
    options = ("--reload", "--reload-delay=0.05")
    with running("served:app", "--port=0", *options, cwd=folder) as server:
        assert get(server)[1] == 1
        async with websocket(at(server)) as client:
            await client.message()
            put(folder, version(APP, 2))
            server.wait_for(r"served\.py has changed: replacing the workers")
            assert (await client.close_frame()).code == 1012
        await until(lambda: get(server)[1] == 2)


async def test_a_change_while_the_first_worker_starts_is_noticed(folder: Path) -> None:
    put(folder, f"import time\nopen('starts', 'w').close()\ntime.sleep(0.5)\n{APP}")
    options = ("--reload", "--reload-delay=0.05")
    with running("served:app", "--port=0", *options, cwd=folder) as server:
        await until((folder / "starts").exists)
        put(folder, version(APP, 2))
        await until(lambda: get(server)[1] == 2)


async def test_a_change_that_does_not_import_leaves_the_old_version_serving(folder: Path) -> None:
    options = ("--reload", "--reload-delay=0.05")
    with running("served:app", "--port=0", *options, cwd=folder) as server:
        assert get(server)[1] == 1
        put(folder, "def app(")
        server.wait_for(r"before it was ready; the old worker goes on")
        assert get(server)[1] == 1
        put(folder, version(APP, 3))
        await until(lambda: get(server)[1] == 3)
        server.signal(signal.SIGINT)
        assert await asyncio.to_thread(server.exit_status) == 0


async def test_files_that_are_not_watched(folder: Path) -> None:
    from longwire.server.config import Config
    from longwire.server.reload import is_watched

    config = Config(app="a:b", reload_include=("*.html",), reload_exclude=("test_*",))
    watched = ("app.py", "page.html", "/deep/x.py")
    ignored = ("app.pyc", ".hidden.py", "style.css", "test_app.py", "~app.py", ".sw.py")
    assert [name for name in (*watched, *ignored) if is_watched(name, config)] == list(watched)


async def test_a_request_on_a_connection_taken_at_the_last_moment_is_served(folder: Path) -> None:
    """Accepted by the old worker, silent until it has stopped accepting."""
    with start(folder, workers=2) as server:
        where = at(server)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connect(where)) for _ in range(8)]
            before = workers_of(server)
            server.signal(signal.SIGHUP)
            await until(lambda: workers_of(server) > before)
            for client in clients:
                await client.send(request())
            for client in clients:
                assert (await client.response()).status == 101


# ---- found by review ------------------------------------------------------------------------


async def test_a_hangup_while_a_dead_worker_waits_for_its_turn_leaves_one_in_its_place(
    folder: Path,
) -> None:
    with start(folder) as server:
        victims = workers_of(server)
        put(folder, DYING)
        os.kill(min(victims), signal.SIGKILL)
        server.wait_for(r"starting worker \d again in 1 s")
        put(folder, version(APP, 2))
        server.signal(signal.SIGHUP)
        await until(lambda: len(workers_of(server)) == 2 and not workers_of(server) & victims)
        await asyncio.sleep(1.5)  # the time at which the dead one's turn would have come
        assert len(workers_of(server)) == 2
        assert {(await asyncio.to_thread(get, server))[1] for _ in range(20)} == {2}


async def test_nobody_is_connected_to_a_server_that_drains(folder: Path) -> None:
    with start(folder, "--timeout-graceful-shutdown=5") as server:
        where = at(server)
        async with websocket(where) as client:
            await client.message()
            server.signal(signal.SIGTERM)
            await client.close_frame()  # and it is not answered: the drain goes on
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                async with connect(where):
                    pass


async def test_a_hangup_during_the_end_starts_nobody(folder: Path) -> None:
    with start(folder, "--timeout-graceful-shutdown=3") as server:
        async with websocket(at(server)) as client:
            await client.message()
            before = workers_of(server)
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGHUP)
            await client.close_frame()
            assert not {child.pid for child in psutil.Process(server.popen.pid).children()} - before
            await client.send(close(1012))
        assert await asyncio.to_thread(server.exit_status) == 0


def test_a_folder_to_look_at_that_is_missing_is_one_line(folder: Path) -> None:
    with running("served:app", "--reload", "--reload-dir=nothing", cwd=folder) as server:
        assert server.exit_status() == 2
        assert server.lines == ["longwire: --reload-dir: there is no folder nothing"]


async def test_a_version_that_hangs_at_its_import_gives_way_to_the_next(folder: Path) -> None:
    options = ("--reload", "--reload-delay=0.05")
    with running("served:app", "--port=0", *options, cwd=folder) as server:
        assert get(server)[1] == 1
        put(folder, f"open('hangs', 'w').close()\n{HANGING_IMPORT}")
        await until((folder / "hangs").exists)
        put(folder, version(APP, 4))
        await until(lambda: get(server)[1] == 4)


async def test_what_a_worker_has_started_does_not_hide_its_end(folder: Path) -> None:
    put(folder, "import os\nos.system('sleep 60 >/dev/null 2>&1 &')\nos._exit(5)\n")
    with start(folder) as server:
        assert await asyncio.to_thread(server.exit_status) == 5  # within PATIENCE: not a minute


# ---- start-ups that hang --------------------------------------------------------------------

HANGING_IMPORT = "import time\ntime.sleep(1000)\n"
HANGING_LIFESPAN = """
import asyncio
async def app(scope, receive, send):
    await asyncio.sleep(1000)
"""
GIVEN_UP = (
    r"worker \d \(process \d+\) was given up: its start-up did not end within 1 s"
    r" \(--timeout-worker-startup\)"
)
hanging = pytest.mark.parametrize(
    "source", [HANGING_IMPORT, HANGING_LIFESPAN], ids=["import", "lifespan"]
)


@hanging
async def test_a_start_up_that_hangs_ends_the_server_with_one_line(
    folder: Path, source: str
) -> None:
    put(folder, source)
    with start(folder, "--timeout-worker-startup=1") as server:
        assert await asyncio.to_thread(server.exit_status) == 3
        assert len([line for line in server.lines if re.search(GIVEN_UP, line)]) == 1
        assert not [line for line in server.lines if "Traceback" in line]


@hanging
async def test_a_start_up_that_hangs_leaves_the_old_workers_serving(
    folder: Path, source: str
) -> None:
    with start(folder, "--timeout-worker-startup=6") as server:
        before = workers_of(server)
        async with websocket(at(server)) as client:
            await client.message()
            put(folder, source)
            server.signal(signal.SIGHUP)
            server.wait_for(GIVEN_UP.replace("1 s", "6 s") + "; the old worker goes on")
            assert workers_of(server) == before
            await client.send(close())
            assert (await client.ended()).code == 1000
        assert get(server)[0] in before
        put(folder, version(APP, 2))
        server.signal(signal.SIGHUP)
        await until(lambda: not workers_of(server) & before)
        assert get(server)[1] == 2


async def test_a_hanging_start_up_after_a_death_is_tried_again(folder: Path) -> None:
    with start(folder, "--timeout-worker-startup=6") as server:
        victims = workers_of(server)
        put(folder, HANGING_IMPORT)
        os.kill(min(victims), signal.SIGKILL)
        server.wait_for(GIVEN_UP.replace("1 s", "6 s") + "$")
        put(folder, APP)
        await until(lambda: len(workers_of(server)) == 2)
        assert {get(server)[0] for _ in range(20)} <= workers_of(server)
