"""`make conformance`: every case, or those of some groups; the table, and docs/conformance.md.

python -m tests.conformance.run [--ws all] [--groups 1,2,12] [--write] [--pure]

Our own engine has to pass. A package's engine has to do no worse than the package alone, which
runs the same cases behind uvicorn.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests import pure
from tests.conformance import autobahn

PAGE = autobahn.ROOT / "docs" / "conformance.md"
ENGINES = ("native", *autobahn.PACKAGES)
TIMEOUT = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ws", default="native", help="engines, or all; default: native")
    parser.add_argument("--groups", default=",".join(autobahn.GROUPS))
    parser.add_argument("--write", action="store_true", help="put the tables into the docs")
    parser.add_argument("--pure", action="store_true", help="test the interpreted modules")
    arguments = parser.parse_args()
    engines = ENGINES if arguments.ws == "all" else arguments.ws.split(",")
    if not set(engines) <= set(ENGINES):
        parser.error(f"--ws is all, or some of {', '.join(ENGINES)}")
    if arguments.pure:
        os.environ[pure.PURE] = "1"
    try:
        autobahn.install()
    except autobahn.Unavailable as reason:
        print(reason)
        return 0
    cases = [f"{group}.*" for group in arguments.groups.split(",")]
    is_good = True
    for engine in engines:
        print(f"--ws {engine}")
        passed, table = run_native(cases) if engine == "native" else run_package(engine, cases)
        is_good &= passed
        if arguments.write:
            write(PAGE, engine, table)
    return 0 if is_good else 1


def run(agent: autobahn.Agent, cases: list[str]) -> list[autobahn.Case]:
    return autobahn.run(agent, cases, autobahn.HOME / "reports" / agent.name, TIMEOUT)


def run_native(cases: list[str]) -> tuple[bool, str]:
    """Run our own engine; return whether it passed, and the table."""
    verdicts = run(autobahn.ours("native"), cases)
    table = autobahn.table(verdicts)
    print(table)
    bad = [case for case in verdicts if not case.is_good]
    for case in bad:
        print(f"{case.id}: {case.behavior}, close {case.close}")
    print(f"{len(verdicts) - len(bad)} passed, {len(bad)} failed")
    return not bad, table


def run_package(engine: str, cases: list[str]) -> tuple[bool, str]:
    """Run an adapter and its package; return whether the adapter is no worse, and the table."""
    adapter = run(autobahn.ours(engine), cases)
    alone = run(autobahn.package(engine), cases)
    table = autobahn.comparison(adapter, alone)
    print(table)
    for case in adapter:
        if case.rank:
            print(f"{case.id}: {case.behavior}, close {case.close}")
    worse = autobahn.worse(adapter, alone)
    for ours, theirs in worse:
        print(f"{ours.id}: {ours.behavior}, close {ours.close}; alone {theirs.behavior}")
    print(f"{len(adapter)} cases, {len(worse)} worse than the package alone")
    return not worse, table


def write(page: Path, engine: str, table: str) -> None:
    """Put the table between the page's markers for the engine."""
    begin, end = f"<!-- results {engine} -->\n", f"\n<!-- end of results {engine} -->"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + table + end + after)


if __name__ == "__main__":
    sys.exit(main())
