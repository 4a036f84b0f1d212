"""What is measured, and the floors: the ratios to uvicorn that the project holds itself to."""

from __future__ import annotations

from dataclasses import dataclass

IDLE_CONNECTIONS = 10_000


@dataclass(frozen=True)
class Scenario:
    """One load: wsload's arguments, and which figure of its result counts."""

    name: str
    arguments: tuple[str, ...]
    figure: str
    unit: str
    floor: float
    is_less_better: bool = False
    is_fresh: bool = False  # needs a process that has served nothing yet

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
    echo = ("echo", *timed)
    return [
        Scenario("100 connections, 1 in flight", (*echo, "-n100"), "msg_per_s", "msg/s", 2.4),
        Scenario("10 connections, 32 in flight", (*echo, "-n10", "-w32"), "msg_per_s", "msg/s", 10),
        Scenario("1 connection", (*echo, "-n1"), "msg_per_s", "msg/s", 1.7),
        Scenario("1 MiB messages", (*echo, "-n1", "-s1M"), "msg_per_s", "msg/s", 1.5),
        Scenario("handshakes", ("connect", *timed, "-c64"), "handshakes_per_s", "1/s", 2.5),
        Scenario(
            f"memory, {IDLE_CONNECTIONS} idle", ("idle", f"-n{IDLE_CONNECTIONS}", "--hold=1"),
            "bytes_per_connection", "B", 3, is_less_better=True, is_fresh=True,
        ),
    ]  # fmt: skip


def toolkit_scenarios(seconds: float) -> list[Scenario]:
    """Return what the toolkit is measured with, beside the raw echo: at most 15 % may it cost."""
    echo = ("echo", "--time", str(seconds))
    floor = 1 - 0.15
    return [
        Scenario("toolkit, 100 connections", (*echo, "-n100"), "msg_per_s", "msg/s", floor),
        Scenario("toolkit, 1 connection", (*echo, "-n1"), "msg_per_s", "msg/s", floor),
        Scenario(
            "toolkit, 10 x 32 in flight", (*echo, "-n10", "-w32"), "msg_per_s", "msg/s", floor
        ),
    ]
