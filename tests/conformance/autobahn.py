"""Autobahn's fuzzing client, run against our server as a subprocess.

The suite runs on Python 2.7 only; an environment for it is made once, below .artifacts/.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
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


def run(cases: list[str], reports: Path, timeout: float) -> list[Case]:
    """Run the cases, as "1.*" or "6.4.1", against a server of our own; return the verdicts."""
    reports.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(
        pure.python(
            "longwire",
            "serve",
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
    try:
        url = _address(server).replace("http://", "ws://")
        spec = reports / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(reports),
                    "servers": [{"agent": "longwire", "url": url}],
                    "cases": cases,
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [str(WSTEST), "-m", "fuzzingclient", "-s", str(spec)]
        subprocess.run(command, cwd=reports, capture_output=True, timeout=timeout, check=True)
    finally:
        server.terminate()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()
    index = json.loads((reports / "index.json").read_text())["longwire"]
    return [Case(id, case["behavior"], case["behaviorClose"]) for id, case in index.items()]


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"http://\S+:\d+", line)
        if found:
            return found[0]
    raise RuntimeError("the server did not start")


def table(cases: list[Case]) -> str:
    """Return the verdicts per group, as a Markdown table."""
    kinds = ("OK", "INFORMATIONAL", "NON-STRICT", "failed")
    lines = [f"| group | cases | {' | '.join(kinds)} |", "|---|---|---|---|---|---|"]
    for group in sorted({case.group for case in cases}, key=int):
        members = [case for case in cases if case.group == group]
        counts = Counter(case.behavior if case.is_good else "failed" for case in members)
        row = " | ".join(str(counts[kind]) for kind in kinds)
        lines.append(f"| {group} | {len(members)} | {row} |")
    return "\n".join(lines)
