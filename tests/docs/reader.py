"""A reader who does what a page says: writes its files, starts its servers, runs its programs.

What is printed on a page as output is looked for in what the command before it has printed. The
port 8000 of the pages is whatever port the server took; everything is on the loopback interface.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from longwire.cli.serve import serve
from longwire.server.config import Config
from tests import pure
from tests.docs.pages import ROOT, Block, blocks_of, folder_of, write_file, write_files
from tests.process import INTERPRETED, Process, running

PORT = re.compile(r"(?<=127\.0\.0\.1:)8000\b")
EXTRA = re.compile(r"\[([\w,]+)\]")
PROGRAM_SECONDS = 60.0
"""How long a program may take at most; some are a pytest of their own."""

HARMLESS = frozenset(("mkdir", "cd", "python3", ".", "git"))
"""What a reader types around it, and a test has done in its own way."""

NODE = """\
globalThis.location = Object.assign(new URL(process.argv[2]), { reload() { show("reload"); } });
globalThis.show = (...values) => console.log(...values);
"""
UNTIL_SHOWN = """\
{
  let awaited = %d;
  globalThis.show = (...values) => {
    console.log(...values);
    if (--awaited === 0) process.exit(0);
  };
}
"""
FOR_A_WHILE = "setTimeout(() => process.exit(0), 800);\n"
"""How a script ends that has no end: when it has shown what the page says, or if that is nothing,
some time after which it has not failed."""


class Reader:
    """One page, read from its first line to its last in a folder of its own."""

    def __init__(self, page: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.page = page
        self.folder = folder
        self.server: Process | None = None
        self.printed = ""
        self._stack = stack
        self._servers = stack.enter_context(contextlib.ExitStack())
        self._module = types.ModuleType("block")
        self._programs: set[str] = set()
        before = folder_of(page)
        if before is not None:
            write_files(before, folder)
        sys.path.insert(0, str(folder))
        stack.callback(sys.path.remove, str(folder))
        stack.callback(self._forget_modules)

    def read(self) -> None:
        """Do all that the page says; what fails says where."""
        for block in blocks_of(self.page):
            if block.reason_not_to_run is None:
                try:
                    READERS[block.language](self, block)
                except BaseException as error:
                    error.add_note(f"in {block.place}:\n{block.code}")
                    raise
        assert not self._programs, f"nothing runs {self._programs}"

    # ---- Python -----------------------------------------------------------------------------

    def python(self, block: Block) -> None:
        path = write_file(block, self.folder)
        if path is None:
            self._execute(block, self._module if block.remark == "goes on" else None)
        elif path.name.startswith("test_") or "asyncio.run(" in block.code:
            compile(block.code, block.place, "exec")
            self._programs.add(path.name)
        else:
            self._forget_modules()
            __import__(path.stem)

    def _execute(self, block: Block, module: types.ModuleType | None) -> None:
        """Execute a block as the module it would be, and the tests in it."""
        module = self._module = module or types.ModuleType("block")
        sys.modules["block"] = module  # frameworks look there for an annotation's names
        before = set(vars(module))
        code = "\n" * (block.line - 1) + block.code  # a traceback has the page's own lines
        exec(compile(code, block.page, "exec"), vars(module))
        for name, value in list(vars(module).items()):
            if name.startswith("test_") and name not in before:
                value()

    def _forget_modules(self) -> None:
        sys.modules.pop("block", None)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{self.folder}/"):
                del sys.modules[name]

    # ---- a terminal -------------------------------------------------------------------------

    def shell(self, block: Block) -> None:
        for line in block.code.replace("\\\n", " ").splitlines():
            for command in line.partition(" #")[0].split("&&"):
                self._type(shlex.split(command, comments=True))

    def _type(self, words: list[str]) -> None:
        environment = {"LONGWIRE_BROKER": "auto"}
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, environment[name] = words.pop(0).partition("=")
        if not words or words[0] in HARMLESS:
            return
        if words[:2] == ["longwire", "serve"]:
            self._serve(words[2:], environment)
        elif words[:2] == ["pip", "install"]:
            check_extras(words[2:])
        elif words[0] == "make":
            check_target(words[1])
        elif words[0] == "python":
            self._run(pure.python(*words[1:])) if "-m" in words else self._run_file(words[1:])
        elif words[0] == "pytest":
            self._programs -= {path.name for path in self.folder.glob("test_*.py")}
            self._run(pure.python("pytest", "-p", "no:cacheprovider", *words[1:]))
        elif words[0] == "curl":
            self._run([*words[:-1], self._here(words[-1])])
        else:
            raise AssertionError(f"nobody knows how to run {words[0]}")

    def _serve(self, arguments: list[str], environment: dict[str, str]) -> None:
        """Check the options, and start the server if its application is in the folder."""
        config = check_options(arguments)
        module = str(config.app).partition(":")[0].replace(".", "/")
        is_here = (self.folder / f"{module}.py").exists()
        if not is_here or config.fd or config.ssl_certfile:
            return
        self._servers.close()
        arguments = [*arguments, "--port=0"]
        if config.metrics:
            arguments.append("--metrics=127.0.0.1:0")
        server = self._servers.enter_context(
            running(*arguments, environment=environment, cwd=self.folder)
        )
        self.server = server
        assert server.url
        self._servers.callback(self._end, server)

    def _end(self, server: Process) -> None:
        """End the server as a person would, and see that it ended well."""
        server.popen.terminate()
        status = server.exit_status()
        assert status == 0, server.lines
        assert not any("Traceback" in line for line in server.lines), server.lines
        self.server = None

    def _run_file(self, arguments: list[str]) -> None:
        program = self.folder / arguments[0]
        self._programs.discard(program.name)
        here = program.with_name(f"here_{program.name}")
        here.write_text(self._here(program.read_text("utf-8")), "utf-8")
        self._run([sys.executable, str(here), *arguments[1:]])

    def _here(self, text: str) -> str:
        """Return the text with the port that our server has."""
        if not PORT.search(text):
            return text
        assert self.server is not None, "there is no server to talk to"
        return PORT.sub(self.server.url.rpartition(":")[2].strip("/"), text)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{INTERPRETED}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROGRAM_SECONDS,
        )
        self.printed = done.stdout
        assert done.returncode == 0, done.stdout

    # ---- a browser --------------------------------------------------------------------------

    def javascript(self, block: Block) -> None:
        """Run a script against the page's server; without one, see that it is a script."""
        path = self.folder / "script.mjs"
        if self.server is None:
            path.write_text(block.code, "utf-8")
            self._run([node(), "--check", str(path)])
            return
        shown = len(printed_by(block).splitlines())
        end = UNTIL_SHOWN % shown if shown else FOR_A_WHILE
        path.write_text(NODE + end + block.code, "utf-8")
        self._run([node(), "--no-warnings", "--experimental-websocket", str(path), self.server.url])

    def html(self, block: Block) -> None:
        """Write the page, and see that its scripts are some; test_browser.py opens it."""
        write_file(block, self.folder)
        for number, script in enumerate(re.findall(r"<script>(.*?)</script>", block.code, re.S)):
            path = self.folder / f"script-{number}.js"
            path.write_text(script, "utf-8")
            self._run([node(), "--check", str(path)])

    # ---- what is not run --------------------------------------------------------------------

    def text(self, block: Block) -> None:
        """Look for the page's lines, in their order, in what was printed last."""
        if block.title == "It prints":
            lines = iter(self.printed.splitlines())
            for expected in block.code.splitlines():
                assert any(expected in line for line in lines), self.printed

    def json(self, block: Block) -> None:
        try:
            json.loads(block.code)
        except ValueError:
            for line in block.code.splitlines():  # a log
                json.loads(line)

    def toml(self, block: Block) -> None:
        tomllib.loads(block.code)

    def ini(self, block: Block) -> None:
        """Read systemd's units; the commands in them are ours."""
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read_string(block.code)
        for section in parser.values():
            words = shlex.split(section.get("ExecStart", ""))
            if words:
                assert words[0].endswith("/longwire"), words
                check_options(words[words.index("serve") + 1 :])

    def nginx(self, block: Block) -> None:
        """See that every line ends as one does, and that the braces match."""
        lines = [line.partition("#")[0].strip() for line in block.code.splitlines()]
        assert all(line[-1] in ";{}" for line in lines if line), lines
        assert block.code.count("{") == block.code.count("}")


READERS: dict[str, Callable[[Reader, Block], None]] = {
    "python": Reader.python,
    "shell": Reader.shell,
    "js": Reader.javascript,
    "html": Reader.html,
    "text": Reader.text,
    "json": Reader.json,
    "toml": Reader.toml,
    "ini": Reader.ini,
    "nginx": Reader.nginx,
}
"""Every language that a block may be of; one without a language is a fault of the page."""


@contextlib.contextmanager
def reading(page: str, folder: Path) -> Iterator[Reader]:
    """Begin to read a page; what it started has ended afterwards."""
    with contextlib.ExitStack() as stack:
        yield Reader(page, folder, stack)


def printed_by(block: Block) -> str:
    """Return what the page says that a block prints, if it does."""
    blocks = blocks_of(block.page)
    behind = blocks[blocks.index(block) + 1 :][:1]
    return "".join(block.code for block in behind if block.title == "It prints")


def node() -> str:
    path = shutil.which("node")
    assert path is not None
    return path


def check_options(arguments: list[str]) -> Config:
    """Return the configuration that a command makes; the parser's and Config's faults are ours."""
    try:
        context = serve.make_context("serve", list(arguments))
    except click.exceptions.Exit:  # --help
        return Config(app="")
    return Config(**context.params)


def check_extras(words: list[str]) -> None:
    """See that there are the extras that a command installs."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    known = project["project"]["optional-dependencies"]
    for word in words:
        match = EXTRA.search(word)
        for extra in match[1].split(",") if match else ():
            assert extra in known, word


def check_target(name: str) -> None:
    """See that `make` has the target."""
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), name
