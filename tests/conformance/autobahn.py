"""Autobahn's fuzzing client, run against a server as a subprocess: ours, or one to compare with.

The suite runs on Python 2.7 only; an environment for it is made once, below .artifacts/.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests import pure

ROOT = Path(__file__).parent.parent.parent
HOME = ROOT / ".artifacts" / "autobahn"
WSTEST = HOME / "py27" / "bin" / "wstest"
SUITE = "autobahntestsuite==25.10.1"

GROUPS = ("1", "2", "3", "4", "5", "6", "7", "9", "10", "12", "13")
GOOD = frozenset(("OK", "INFORMATIONAL"))
MAY_BE_LATE = re.compile(r"6\.4\.")
"""Cases that ask for failing on the first bad byte, where later is allowed: NON-STRICT."""


class Unavailable(Exception):
    """The suite cannot run on this machine; the message says why, in one line."""


@dataclass(frozen=True)
class Case:
    """The verdict on one case."""

    id: str
    behavior: str
    close: str

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]

    @property
    def rank(self) -> int:
        """How bad it is: 0 as it should be, 1 later than it could be, 2 a failure."""
        verdicts = {self.behavior, self.close}
        return 0 if verdicts <= GOOD else 1 if verdicts <= GOOD | {"NON-STRICT"} else 2

    @property
    def is_good(self) -> bool:
        allowed = GOOD | {"NON-STRICT"} if MAY_BE_LATE.match(self.id) else GOOD
        return self.behavior in allowed and self.close in GOOD


def find_python2() -> str:
    """Return a Python 2.7; Unavailable if there is none."""
    found = shutil.which("python2.7")
    if found is not None and subprocess.run([found, "-c", ""], check=False).returncode == 0:
        return found
    if shutil.which("pyenv"):
        prefix = subprocess.run(
            ["pyenv", "prefix", "2.7.18"], capture_output=True, text=True, check=False
        )
        if prefix.returncode == 0:
            return str(Path(prefix.stdout.strip()) / "bin" / "python")
    raise Unavailable("Autobahn's fuzzing client needs Python 2.7, which is not here")


def install() -> None:
    """Make the environment, if it is not there; Unavailable if it cannot be made."""
    if WSTEST.exists():
        return
    python2 = find_python2()
    HOME.mkdir(parents=True, exist_ok=True)
    tools = HOME / "tools"
    for command in (
        [sys.executable, "-m", "venv", str(tools)],
        # The last virtualenv that makes environments for Python 2.7.
        [str(tools / "bin" / "pip"), "install", "-q", "virtualenv<20.22"],
        [str(tools / "bin" / "virtualenv"), "-q", "-p", python2, str(HOME / "py27")],
        [str(HOME / "py27" / "bin" / "pip"), "install", "-q", SUITE],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise Unavailable(f"{command[0]} failed: {result.stderr.strip()[-200:]}")


@dataclass(frozen=True)
class Agent:
    """A server under test: its name in the reports, and the module that is run with options."""

    name: str
    module: str
    options: tuple[str, ...]


def ours(engine: str) -> Agent:
    """Return our server with that engine."""
    return Agent(f"longwire-{engine}", "longwire", ("serve", f"--ws={engine}"))


PACKAGES = {"wsproto": "wsproto", "websockets": "websockets-sansio"}
"""The engines that are a package's, and what uvicorn calls the package."""


def package(engine: str) -> Agent:
    """Return the engine's package without our adapter: behind uvicorn, which adds only ASGI."""
    return Agent(f"uvicorn-{engine}", "uvicorn", (f"--ws={PACKAGES[engine]}",))


def run(agent: Agent, cases: list[str], reports: Path, timeout: float) -> list[Case]:
    """Start the agent, run the cases, as "1.*" or "6.4.1", against it; return the verdicts."""
    reports.mkdir(parents=True, exist_ok=True)
    command = pure.python if agent.module == "longwire" else _python
    server = subprocess.Popen(
        command(
            agent.module,
            *agent.options,
            "tests.conformance.echo:app",
            "--port=0",
            "--lifespan=off",
            "--no-access-log",
            "--ws-max-size=67108864",
        ),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    reader: threading.Thread | None = None
    try:
        url = _address(server).replace("http://", "ws://")
        # What it logs from now on is read, or a full pipe would stop it.
        reader = threading.Thread(target=server.stderr.read, daemon=True)
        reader.start()
        _run_client(agent.name, url, cases, reports, timeout)
    finally:
        server.terminate()
        server.wait()
        if reader is not None:
            reader.join()
        server.stderr.close()
    index = json.loads((reports / "index.json").read_text())[agent.name]
    return [Case(id, case["behavior"], case["behaviorClose"]) for id, case in index.items()]


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _run_client(agent: str, url: str, cases: list[str], reports: Path, timeout: float) -> None:
    spec = reports / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(reports),
                "servers": [{"agent": agent, "url": url}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    command = [str(WSTEST), "-m", "fuzzingclient", "-s", str(spec)]
    subprocess.run(command, cwd=reports, capture_output=True, timeout=timeout, check=True)


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"http://\S+:\d+", line)
        if found:
            return found[0]
    raise RuntimeError("the server did not start")


KINDS = ("OK", "INFORMATIONAL", "NON-STRICT", "failed")


def table(cases: list[Case]) -> str:
    """Return the verdicts per group, as a Markdown table."""
    lines = [f"| group | cases | {' | '.join(KINDS)} |", "|---|---|---|---|---|---|"]
    for group, members in _groups(cases):
        counts = Counter(case.behavior if case.is_good else "failed" for case in members)
        row = " | ".join(str(counts[kind]) for kind in KINDS)
        lines.append(f"| {group} | {len(members)} | {row} |")
    return "\n".join(lines)


def comparison(adapter: list[Case], alone: list[Case]) -> str:
    """Return an adapter's verdicts beside those of its package alone, as a Markdown table."""
    theirs = dict(_groups(alone))
    lines = [
        "| group | cases | as it should be | late | failed | the package alone |",
        "|---|---|---|---|---|---|",
    ]
    for group, members in _groups(adapter):
        ours = " | ".join(_ranks(members))
        lines.append(f"| {group} | {len(members)} | {ours} | {', '.join(_ranks(theirs[group]))} |")
    return "\n".join(lines)


def worse(adapter: list[Case], alone: list[Case]) -> list[tuple[Case, Case]]:
    """Return the cases, ours and theirs, in which the adapter does worse than its package."""
    theirs = {case.id: case for case in alone}
    return [(case, theirs[case.id]) for case in adapter if case.rank > theirs[case.id].rank]


def _ranks(cases: list[Case]) -> list[str]:
    counts = Counter(case.rank for case in cases)
    return [str(counts[rank]) for rank in (0, 1, 2)]


def _groups(cases: list[Case]) -> list[tuple[str, list[Case]]]:
    groups = sorted({case.group for case in cases}, key=int)
    return [(group, [case for case in cases if case.group == group]) for group in groups]
