"""`make fuzz`: each target for its share of the time; what was seen, or the input that broke it.

python -m fuzz.run [--time SECONDS] [--target engine] [--keep]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fuzz import build, seeds

TARGETS = ("engine", "handshake", "http")
HALF_AN_HOUR = 1800
CORPUS = Path(__file__).parent / "corpus"
WORK = build.ROOT / ".artifacts" / "fuzz"
MAX_INPUT = 2560
MAX_KEPT = 512
"""Bytes of an input in fuzz/corpus, which has to stay small; there are seeds for what is longer."""
OPTIONS = (f"-max_len={MAX_INPUT}", "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1")


@dataclass(frozen=True)
class Result:
    """What libFuzzer said of a run."""

    target: str
    seconds: float
    executions: int
    edges: int
    corpus: int
    crash: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", type=int, default=HALF_AN_HOUR, help="seconds, for all targets")
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--keep", action="store_true", help="keep what was found in fuzz/corpus")
    arguments = parser.parse_args()
    targets = arguments.target or TARGETS
    build.build()
    results = [run(target, arguments.time // len(targets)) for target in targets]
    if arguments.keep:
        for target in targets:
            keep(target)
    print("| target | seconds | executions | edges | inputs | result |\n|---|---|---|---|---|---|")
    for result in results:
        print(
            f"| {result.target} | {result.seconds:.0f} | {result.executions:,} | {result.edges:,} "
            f"| {result.corpus} | {result.crash or 'nothing found'} |"
        )
    return 1 if any(result.crash for result in results) else 0


def environment() -> dict[str, str]:
    import atheris

    package = Path(atheris.__file__).parent
    return {
        **os.environ,
        "LD_PRELOAD": build.preloaded(),
        "LONGWIRE_LIBFUZZER": str(next(package.glob("core_with_libfuzzer*.so"))),
        # Python keeps its objects for ever, and its allocator would hide what runs over their end.
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0:"
        "allocator_may_return_null=1:malloc_context_size=3:quarantine_size_mb=32",
        "PYTHONMALLOC": "malloc",
    }


def run(target: str, seconds: int) -> Result:
    """Run one target from its seeds, the kept corpus and what earlier runs found."""
    found = WORK / target / "found"
    found.mkdir(parents=True, exist_ok=True)
    made = WORK / target / "seeds"
    seeds.write(target, made)
    crashes = f"{WORK / target}/"
    log = WORK / target / "log"
    kept = CORPUS / target
    kept.mkdir(parents=True, exist_ok=True)
    print(f"{target}: {seconds} s, log in {log}", flush=True)
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.run(
            [
                sys.executable, "-m", "fuzz.target", target, *OPTIONS,
                f"-max_total_time={seconds}", f"-artifact_prefix={crashes}",
                f"-dict={Path(__file__).with_name('words.dict')}",
                str(found), str(made), str(kept),
            ],
            cwd=build.ROOT, env=environment(), stdout=output, stderr=output, check=False,
        )  # fmt: skip
    return read(
        target, log.read_text(errors="replace"), time.monotonic() - began, process.returncode
    )


def read(target: str, log: str, seconds: float, status: int) -> Result:
    """Return what libFuzzer's log says."""
    progress = re.findall(r"#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)", log)
    executions, edges, corpus = map(int, progress[-1]) if progress else (0, 0, 0)
    total = re.search(r"stat::number_of_executed_units: (\d+)", log)
    written = re.search(r"Test unit written to (\S+)", log)
    crash = "" if not status else written[1] if written else f"status {status}, see the log"
    return Result(target, seconds, int(total[1]) if total else executions, edges, corpus, crash)


def keep(target: str) -> None:
    """Put a minimal set of inputs with the same coverage into fuzz/corpus."""
    fresh = WORK / target / "minimal"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # To merge, libFuzzer starts its own program once more: this is what that has to be.
    again = WORK / target / "again"
    again.write_text(f'#!/bin/sh\nexec {sys.executable} -m fuzz.target {target} "$@"\n')
    again.chmod(0o755)
    folders = [WORK / target / "found", CORPUS / target, WORK / target / "seeds"]
    subprocess.run(
        [str(again), "-merge=1", f"-max_len={MAX_KEPT}", str(fresh), *map(str, folders)],
        cwd=build.ROOT,
        env={**environment(), "LONGWIRE_AGAIN": str(again)},
        capture_output=True,
        check=True,
    )
    if not any(fresh.iterdir()):
        raise SystemExit(f"{target}: merging kept nothing")
    shutil.rmtree(CORPUS / target)
    shutil.copytree(fresh, CORPUS / target)


if __name__ == "__main__":
    sys.exit(main())
