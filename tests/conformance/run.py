"""`make conformance`: every case, or those of some groups; the table, and docs/conformance.md.

python -m tests.conformance.run [--groups 1,2,12] [--write] [--pure]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests import pure
from tests.conformance import autobahn

PAGE = autobahn.ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- results -->\n", "\n<!-- end of results -->"
TIMEOUT = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", default=",".join(autobahn.GROUPS))
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    parser.add_argument("--pure", action="store_true", help="test the interpreted modules")
    arguments = parser.parse_args()
    if arguments.pure:
        os.environ[pure.PURE] = "1"
    try:
        autobahn.install()
    except autobahn.Unavailable as reason:
        print(reason)
        return 0
    cases = autobahn.run(
        [f"{group}.*" for group in arguments.groups.split(",")],
        autobahn.HOME / "reports",
        TIMEOUT,
    )
    print(autobahn.table(cases))
    bad = [case for case in cases if not case.is_good]
    for case in bad:
        print(f"{case.id}: {case.behavior}, close {case.close}")
    print(f"{len(cases) - len(bad)} passed, {len(bad)} failed")
    if arguments.write:
        write(PAGE, autobahn.table(cases))
    return 1 if bad else 0


def write(page: Path, table: str) -> None:
    """Put the table between the page's markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + table + END + after)


if __name__ == "__main__":
    sys.exit(main())
