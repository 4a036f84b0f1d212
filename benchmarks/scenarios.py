"""What is measured, and the floors: the ratios to others that the project holds itself to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IDLE_CONNECTIONS = 10_000
UVICORN = "uvicorn"


@dataclass(frozen=True)
class Scenario:
    """One load: wsload's arguments, and which figure of its result counts."""

    name: str
    arguments: tuple[str, ...]
    figure: str
    unit: str
    floors: Mapping[str, float]  # by the server that ours is compared with
    is_less_better: bool = False
    is_fresh: bool = False  # needs a process that has served nothing yet, not even a warm-up

    @property
    def is_echo(self) -> bool:
        """Whether a server that only returns bytes can be measured, too."""
        return self.arguments[0] == "echo"

    def ratio(self, ours: float, theirs: float) -> float:
        """Return how many times better ours is."""
        return theirs / ours if self.is_less_better else ours / theirs


def scenarios(seconds: float) -> list[Scenario]:
    """Return all scenarios, each measured for so many seconds."""
    timed = ("--time", str(seconds))
    memory = f"memory, {IDLE_CONNECTIONS} idle"
    idle = ("idle", f"-n{IDLE_CONNECTIONS}", "--hold=1")
    return [
        _echo("100 connections, 1 in flight", (*timed, "-n100"), {UVICORN: 2.4}),
        _echo("10 connections, 32 in flight", (*timed, "-n10", "-w32"), {UVICORN: 10}),
        _echo("1 connection", (*timed, "-n1"), {UVICORN: 1.7}),
        _echo("1 MiB messages", (*timed, "-n1", "-s1M"), {UVICORN: 1.5}),
        Scenario(
            "handshakes", ("connect", *timed, "-n64"), "handshakes_per_s", "1/s", {UVICORN: 2.5}
        ),
        Scenario(
            memory, idle, "bytes_per_connection", "B", {UVICORN: 3},
            is_less_better=True, is_fresh=True,
        ),
    ]  # fmt: skip


def toolkit_scenarios(seconds: float) -> list[Scenario]:
    """Return what the toolkit is measured with, beside the raw echo: at most 15 % may it cost."""
    timed = ("--time", str(seconds))
    floor = {"longwire": 1 - 0.15}
    return [
        _echo("toolkit, 100 connections", (*timed, "-n100"), floor),
        _echo("toolkit, 1 connection", (*timed, "-n1"), floor),
        _echo("toolkit, 10 x 32 in flight", (*timed, "-n10", "-w32"), floor),
    ]


def fanout_scenarios(seconds: float) -> list[Scenario]:
    """Return what the hub is measured with, beside others' ways to send one message to many."""
    scenarios = []
    for receivers in (1000, 5000):
        for window, floors in (
            (1, {"starlette": 2, "picows": 0.9}),
            (8, {"starlette": 3, "bun": 1}),
        ):
            load = ("fanout", "--time", str(seconds), f"-n{receivers}", "-s128", f"-w{window}")
            name = f"fan-out to {receivers}, {window} in flight"
            scenarios.append(Scenario(name, load, "deliveries_per_s", "1/s", floors, is_fresh=True))
    return scenarios


def _echo(name: str, arguments: tuple[str, ...], floors: Mapping[str, float]) -> Scenario:
    return Scenario(name, ("echo", *arguments), "msg_per_s", "msg/s", floors)
