"""The real command as a subprocess: started, asked for its address, ended by a signal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from tests import pure

ROOT = Path(__file__).parent.parent
INTERPRETED = ROOT / "tests" / "interpreted"
PATIENCE = 30.0


class Process:
    """A server, running; `lines` is what it has logged so far."""

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        cwd: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.popen = subprocess.Popen(
            command,
            cwd=cwd,
            pass_fds=pass_fds,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{INTERPRETED}",
                "LONGWIRE_BROKER": "none",  # a server less for each test that has workers
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        self.popen.stdout.close()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the match of the first line that has the pattern, now or within PATIENCE."""

        def found() -> re.Match[str] | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._changed:
            match = self._changed.wait_for(found, PATIENCE)
        assert match is not None, self.lines
        return match

    @property
    def url(self) -> str:
        """The address it says it listens on."""
        return self.wait_for(r"(?:https?://|unix:)\S+[^\s,]")[0]

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def exit_status(self) -> int:
        """Wait for its end; return the status."""
        status = self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


def running(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT
) -> AbstractContextManager[Process]:
    """Run `longwire serve` with the arguments; what still runs at the end is killed."""
    return running_command(
        pure.python("longwire", "serve", *arguments), environment=environment, cwd=cwd
    )


@contextlib.contextmanager
def running_command(
    command: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    cwd: Path = ROOT,
    pass_fds: Sequence[int] = (),
) -> Iterator[Process]:
    """Run a server's command; it, and the workers it started, are killed if they do not end."""
    process = Process(command, environment or {}, cwd, pass_fds)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            family = psutil.Process(process.popen.pid).children(recursive=True)
            process.signal(signal.SIGTERM)
            try:
                process.exit_status()
            except subprocess.TimeoutExpired:
                process.popen.kill()
                for worker in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker.kill()
                process.exit_status()
