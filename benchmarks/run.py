"""`make bench`: Longwire beside its peers, in turns, in one run; the tables of ratios.

    python -m benchmarks.run [--rounds 3] [--time 3] [--only fan-out] [--servers longwire,uvicorn]

A server has one core to itself, the load generator the other. Each round measures every server
once, one after the other; a figure is the median of the rounds, a ratio the median of the
rounds' ratios, so that a machine whose speed drifts treats both alike.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.scenarios import Scenario, fanout_scenarios, scenarios, toolkit_scenarios
from benchmarks.servers import LOAD_CORE, ROOT, Running, commands, install_peers, running

BUILD = ROOT / ".artifacts" / "bench"
WSLOAD = BUILD / "wsload"
OURS, REFERENCE, RAW_TCP = "longwire", "uvicorn", "raw-tcp"
TOOLKIT = ("toolkit", OURS)
FANOUT = ("hub", "starlette", "picows", "bun")

Result = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--time", type=float, default=3.0, help="seconds for each measurement")
    parser.add_argument("--only", default="", help="scenarios whose name has this text")
    parser.add_argument("--servers", default=f"{OURS},{REFERENCE}", help=", ".join(commands(0)))
    arguments = parser.parse_args()
    servers = arguments.servers.split(",")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    build()
    console = Console(width=max(Console().width, 100))
    console.print(machine())
    faults = 0
    for title, found, names in (
        ("one server beside the other", scenarios(arguments.time), servers),
        ("the toolkit beside the raw ASGI echo", toolkit_scenarios(arguments.time), TOOLKIT),
        ("the hub beside others' fan-out", fanout_scenarios(arguments.time), FANOUT),
    ):
        chosen = [scenario for scenario in found if arguments.only in scenario.name]
        if chosen:
            install_peers(names)
            faults += compare(console, title, chosen, names, arguments.rounds)
    console.print(f"every result: {BUILD / 'results.jsonl'}")
    return 1 if faults else 0


def compare(
    console: Console, title: str, chosen: list[Scenario], servers: Sequence[str], rounds: int
) -> int:
    """Measure the scenarios, print their table; ratios are the first server's to the others."""
    table = new_table(f"{title}: medians; a ratio above 1 is in our favour", servers)
    faults = 0
    for scenario in chosen:
        able = [name for name in servers if scenario.is_echo or name != RAW_TCP]
        results = measure(scenario, able, rounds)
        faults += keep(scenario, results)
        add_row(table, scenario, servers, results)
    console.print(table)
    return faults


def build() -> None:
    """Compile the load generator."""
    BUILD.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parent / "wsload.c"
    subprocess.run(["gcc", "-O3", "-o", str(WSLOAD), str(source)], check=True)


def measure(scenario: Scenario, servers: list[str], rounds: int) -> dict[str, list[Result]]:
    """Measure each server once a round, in turns."""
    results: dict[str, list[Result]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name in servers:
            with running(name) as server:
                if not scenario.is_fresh:
                    load(server, ("echo", "-n10", "-w8", "--time", "0.5"), name)
                results[name].append(load(server, scenario.arguments, name))
    return results


def load(server: Running, arguments: tuple[str, ...], name: str) -> Result:
    """Run wsload against a server; return what it measured."""
    raw = ("--raw",) if name == RAW_TCP else ()
    command = [
        "taskset", "-c", str(LOAD_CORE), str(WSLOAD), *arguments, *raw,
        f"-p{server.port}", f"-P{server.pid}",
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    result: Result = json.loads(output)
    if "pss_after" in result:
        grown = result["pss_after"] - result["pss_before"]
        result["bytes_per_connection"] = grown / max(result["open"], 1)
    return result


def keep(scenario: Scenario, results: dict[str, list[Result]]) -> int:
    """Write every result down; return how many had errors."""
    faults = 0
    with (BUILD / "results.jsonl").open("a") as file:
        for name, found in results.items():
            for result in found:
                kept = {"at": time.time(), "scenario": scenario.name, "server": name, **result}
                file.write(json.dumps(kept) + "\n")
                if result["errors"]:
                    faults += 1
                    print(f"{scenario.name}, {name}: {result.get('first_error')}", file=sys.stderr)
    return faults


def new_table(title: str, servers: Sequence[str]) -> Table:
    table = Table(title=title)
    table.add_column("scenario")
    for name in servers:
        table.add_column(name, justify="right")
    for title in ("ratio", "floor", "met", "CPU, ours / load"):
        table.add_column(title, justify="right")
    return table


def add_row(
    table: Table, scenario: Scenario, servers: Sequence[str], results: dict[str, list[Result]]
) -> None:
    figures = {name: [r[scenario.figure] for r in found] for name, found in results.items()}
    cells = [
        f"{statistics.median(figures[name]):,.0f} {scenario.unit}" if name in figures else "-"
        for name in servers
    ]
    subject = servers[0]
    ratios, floors, verdicts = [], [], []
    for reference, floor in scenario.floors.items():
        if reference in figures and reference != subject:
            pairs = zip(figures[subject], figures[reference], strict=True)
            ratio = statistics.median(scenario.ratio(ours, theirs) for ours, theirs in pairs)
            ratios.append(f"{reference} {ratio:.2f}")
            floors.append(f"{floor:g}")
            verdicts.append("yes" if ratio >= floor else "no")
    cpu = statistics.median(r.get("server_cpu", 0) for r in results[subject])
    client = statistics.median(r["client_cpu"] for r in results[subject])
    table.add_row(
        scenario.name, *cells, *("\n".join(lines) or "-" for lines in (ratios, floors, verdicts)),
        f"{cpu:.2f} / {client:.2f}",
    )  # fmt: skip


def machine() -> str:
    """Return one line about where this was measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    kernel, python = platform.release(), platform.python_version()
    return f"{model}, Linux {kernel}, Python {python}, {time.strftime('%Y-%m-%d')}"


if __name__ == "__main__":
    sys.exit(main())
