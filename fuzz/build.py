"""The compiled modules once more, with AddressSanitizer and coverage, below .artifacts/fuzz/build.

src/ and what is installed are left as they are.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / ".artifacts" / "fuzz" / "build"
COVERAGE = BUILD / "coverage.so"
FLAGS = "-fsanitize=address -fno-omit-frame-pointer -fsanitize-coverage=trace-pc,trace-cmp -g -O1"


def libasan() -> Path:
    """Return gcc's AddressSanitizer; SystemExit without one."""
    if shutil.which("gcc"):
        found = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        )
        path = Path(found.stdout.strip())
        if path.is_absolute():
            return path.resolve()
    raise SystemExit("fuzzing needs gcc and its libasan")


def preloaded() -> str:
    """Return what has to be in the process before Python: LD_PRELOAD."""
    # libstdc++, as AddressSanitizer looks for what throws exceptions when it starts only.
    found = subprocess.run(
        ["gcc", "-print-file-name=libstdc++.so.6"], capture_output=True, text=True, check=True
    )
    return f"{COVERAGE} {libasan()} {found.stdout.strip()}"


def sources() -> list[Path]:
    kinds = ("*.py", "*.pyx", "*.pxd")
    found = [path for kind in kinds for path in (ROOT / "src").rglob(kind)]
    return [*found, ROOT / "setup.py", Path(__file__), _shim()]


def _shim() -> Path:
    return Path(__file__).with_name("coverage.c")


def build() -> None:
    """Build, unless what is there is newer than all sources."""
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    with BUILD.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # targets may be started side by side
        if not _is_fresh():
            _build()


def _is_fresh() -> bool:
    if not COVERAGE.exists():
        return False
    built = COVERAGE.stat().st_mtime
    return all(path.stat().st_mtime <= built for path in sources())


def _build() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    shutil.copytree(
        ROOT / "src", BUILD / "src", ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    )
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, BUILD / name)
    environment = {
        **os.environ, "CC": "gcc", "CFLAGS": FLAGS, "LDFLAGS": "-fsanitize=address",
        "LONGWIRE_PURE": "0",
    }  # fmt: skip
    print("building the compiled modules with AddressSanitizer", flush=True)
    log = BUILD / "build.log"
    with log.open("w") as output:
        result = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--inplace", "-j2"],
            cwd=BUILD, env=environment, stdout=output, stderr=output, check=False,
        )  # fmt: skip
    if result.returncode:
        raise SystemExit(f"the build failed: {log}")
    # Last, as its age is the build's.
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-o", str(COVERAGE), str(_shim()), "-ldl"], check=True
    )
