"""A fast part of the conformance suite; `make conformance` runs the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import autobahn

QUICK = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.1.*", "6.3.*", "6.4.*", "7.*", "12.1.1", "13.3.1"]


@pytest.mark.timeout(120)
def test_autobahn_quick_cases(tmp_path: Path) -> None:
    if not autobahn.WSTEST.exists():
        pytest.skip("Autobahn's fuzzing client is not installed: `make conformance` does it")
    cases = autobahn.run(autobahn.ours("native"), QUICK, tmp_path, timeout=110)
    assert len(cases) > 100
    assert [case for case in cases if not case.is_good] == []
