"""What every test can ask for: the server in this process, on either loop, compiled or not."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.machinery
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import pure, wire
from tests.contracts import deviations as contracts
from tests.server.deviations import DEVIATIONS, deviation

SOURCE = Path(__file__).parent.parent / "src" / "longwire"

# hypothesis gives an example 200 ms, and the making of them a second or so: as much as a busy
# machine takes for nothing. What hangs is found by the limit that each test has.
settings.register_profile(
    "longwire", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("longwire")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pure", action="store_true", help="test the interpreted modules")
    parser.addoption(
        "--loop",
        default="uvloop",
        choices=("uvloop", "asyncio"),
        help="the event loop; asyncio comes with the loop's own transports",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--pure"):
        pure.install()
    else:
        _refuse_stale_modules()
    if config.getoption("--loop") == "asyncio":
        _take_the_loops_transports()


def _take_the_loops_transports() -> None:
    """Have a server in this process accept as on a system without epoll."""
    pytest.MonkeyPatch().setattr("longwire.server.server.IS_AVAILABLE", False)


def _refuse_stale_modules() -> None:
    """An edited .py beside an older .so is not what runs: such a test run would prove nothing."""
    for compiled in SOURCE.rglob("*" + importlib.machinery.EXTENSION_SUFFIXES[0]):
        module = compiled.with_name(compiled.name.split(".")[0])
        twin = module.with_suffix(".pyx")
        if not (twin.exists() or module.with_suffix(".pxd").exists()):
            raise pytest.UsageError(f"{compiled} is of a module no longer compiled: delete it")
        source = twin if twin.exists() else module.with_suffix(".py")
        for path in (source, module.with_suffix(".pxd")):
            if path.exists() and path.stat().st_mtime > compiled.stat().st_mtime:
                raise pytest.UsageError(f"{compiled.name} is older than {path}: run `make build`")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out as tests/parallel.py says; `--dist` asks for something else."""
    from tests.parallel import Scheduling

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_report_header(config: pytest.Config) -> str:
    import longwire.server.session as session

    kind = "compiled" if session.__file__.endswith(".so") else "interpreted"
    return f"longwire: {kind}, {config.getoption('--loop')}, Python {sys.version.split()[0]}"


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.config.getoption("--loop") == "uvloop"}


class Served:
    """A server that runs in the test's own event loop."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.state = server.state
        address = server.sockets[0].getsockname()
        self.host, self.port = address[:2] if isinstance(address, tuple) else (address, 0)

    def url(self, scheme: str, path: str = "/") -> str:
        return f"{scheme}://{self.host}:{self.port}{path}"


Serve = Callable[..., AbstractAsyncContextManager[Served]]


ENGINES = ("native", "wsproto", "websockets")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The engine behind the server: each of them in turn, where `every_engine` marks a module."""
    return str(getattr(request, "param", "native"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_engine") and "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ENGINES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect of a package what it is known not to do."""
    for item in items:
        call = getattr(item, "callspec", None)
        if call is None or "engine" not in call.params:
            continue
        name = getattr(item, "originalname", item.name)
        known = contracts.DEVIATIONS if item.path.parent.name == "contracts" else DEVIATIONS
        reason = deviation(known, call.params["engine"], name, call.id)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(autouse=True)
def short_patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait 0.4 seconds, not five, for what a package is known not to send."""
    if request.node.get_closest_marker("xfail"):
        monkeypatch.setattr(wire, "PATIENCE", 0.4)


@pytest.fixture
def serve(engine: str) -> Serve:
    """Serve an application: `async with serve(app, ws_max_size=100) as server:`."""
    from longwire.server.config import Config
    from longwire.server.server import Server

    @contextlib.asynccontextmanager
    async def serve(app: Any, **options: Any) -> AsyncIterator[Served]:
        defaults = {
            "port": 0, "lifespan": "off", "timeout_graceful_shutdown": 15.0, "ws": engine,
        }  # fmt: skip
        server = Server(Config(app=app, **{**defaults, **options}))
        await server.start()
        try:
            yield Served(server)
        finally:
            with _hurried(server, 2.0):
                await server.finish()

    return serve


@contextlib.contextmanager
def _hurried(server: Any, seconds: float) -> Iterator[None]:
    """Cut what a test has left open after these seconds; a drain that it looks at has more."""

    def hurry() -> None:
        for _ in range(2):  # the second time means: at once
            server.stop()

    timer = asyncio.get_running_loop().call_later(seconds, hurry)
    try:
        yield
    finally:
        timer.cancel()
