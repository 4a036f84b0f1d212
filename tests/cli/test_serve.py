"""`longwire serve` as a person runs it: a subprocess, its lines, its exit status."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect, unix_connect

import longwire
from longwire.errors import ConfigError
from tests import pure
from tests.process import PATIENCE, ROOT, running, running_command

pytestmark = pytest.mark.timeout(60)

APP = """
import os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        body = os.environ.get("GREETING", "hello").encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})

def make():
    return app

def broken_factory():
    raise ValueError("no such thing")

def asgi2(scope):
    return None

async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

class Nested:
    inner = staticmethod(app)

text = "not callable"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "myapp.py").write_text(APP)
    (tmp_path / "raises.py").write_text("x = 1\n1 / 0\n")
    (tmp_path / "imports.py").write_text("import there_is_no_such_module\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    return tmp_path


def run(*arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command that ends by itself; return its status and what it printed on stderr."""

    done = subprocess.run(
        pure.python("longwire", *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_serves_says_where_and_ends_cleanly(folder: Path, number: int) -> None:
    with running("myapp:app", "--port=0", cwd=folder) as process:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", process.url)
        assert httpx.get(process.url).text == "hello"
        process.signal(number)
        assert process.exit_status() == 0
    assert not [line for line in process.lines if "Traceback" in line or "ERROR" in line]


def test_each_socket_logs_a_line_when_it_opens_and_one_when_it_closes(folder: Path) -> None:
    with running("myapp:app", "--port=0", cwd=folder) as process:
        with connect(process.url.replace("http", "ws") + "/chat?token=secret") as client:
            client.send("hello")
            client.recv()
            client.close(3001, "bye")
        opened = process.wait_for(r'"WebSocket /chat" opened')
        closed = process.wait_for(
            r'"WebSocket /chat" closed 3001 by the client \(\'bye\'\) after \d+\.\d s, '
            r"received 1 message \d+ B, sent 1 message \d+ B"
        )
        assert opened
        assert closed
    assert "secret" not in "\n".join(process.lines)


def test_structured_logs_are_one_object_a_line(folder: Path) -> None:
    arguments = ("--port=0", "--log-format=json", "--use-colors")
    with running("myapp:app", *arguments, cwd=folder) as process:
        httpx.get(process.url + "/page?token=secret")
        with connect(process.url.replace("http", "ws")) as client:
            client.close(4001, "bye")
        process.wait_for("websocket.closed")
        process.signal(signal.SIGTERM)
        assert process.exit_status() == 0
    lines = [json.loads(line) for line in process.lines]
    events = [line["event"] for line in lines if "event" in line]
    assert events == ["http.request", "websocket.opened", "websocket.closed"]
    assert (lines[0]["level"], lines[0]["logger"]) == ("INFO", "longwire.error")
    assert lines[0]["message"].startswith("Longwire ")
    assert "secret" not in "\n".join(process.lines)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("myapp", "module:attribute"),
        ("nowhere:app", "no module 'nowhere'"),
        ("myapp:nothing", "no attribute 'nothing'"),
        ("myapp:text", "not an application"),
        ("myapp:asgi2", "ASGI 3"),
        ("raises:app", "ZeroDivisionError: division by zero"),
        ("imports:app", "there_is_no_such_module"),
        ("syntax:app", "SyntaxError"),
    ],
)
def test_an_app_that_does_not_import_is_one_line(folder: Path, app: str, said: str) -> None:
    status, stderr = run("serve", app, "--port=0", cwd=folder)
    assert status == 1
    assert said in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port=70000"], "--port is from 0 to 65535; got 70000"),
        (["--port=x"], "'x' is not a valid integer"),
        (["--ws=carrier-pigeon"], "--ws is one of auto, native, wsproto"),
        (["--loop=trio"], "--loop is one of"),
        (["--ws-max-queue=0"], "--ws-max-queue is at least 1, and at most 2**53"),
        (["--reload-delay=60"], "--reload-delay is from 0.01 to 10; got 60"),
        ([f"--ws-max-size={2**63}"], "--ws-max-size is at least 0, and at most 2**53"),
        ([f"--ws-max-size={10**400}"], "--ws-max-size is at least 0, and at most 2**53; got a num"),
        (["--timeout-keep-alive=inf"], "--timeout-keep-alive is at least 0, and at most 2**53"),
        (["--ws-deflate-window-bits=8"], "--ws-deflate-window-bits is from 9 to 15"),
        (["--header=nonsense"], "not name:value"),
        (["--header=a b:c"], "a header's name is a token"),
        (["--header=Upgrade:c"], "is written by the handshake itself"),
        (["--ssl-certfile=nothing.pem"], "nothing.pem"),
        (["--ssl-keyfile=key.pem"], "--ssl-keyfile needs --ssl-certfile"),
        (["--env-file=nothing.env"], "nothing.env"),
        (["--log-config=nothing.json"], "nothing.json"),
        (["--no-such-option"], "--no-such-option"),
        (["--uds=x.sock", "--fd=3"], "exclude each other"),
        (["--fd=3", "--fd=4", "--fd=3"], "--fd names different descriptors, at least 0; got 3"),
        (["--fd=-1"], "--fd names different descriptors, at least 0; got -1"),
        (["--forwarded-allow-ips=10.0.0.1/8"], "10.0.0.1/8 has host bits set"),
        (["--log-format=xml"], "--log-format is one of text, json; got 'xml'"),
        (["--log-format=json", "--log-config=x.json"], "--log-format and --log-config exclude"),
        (["--metrics=here"], "--metrics is host:port, as in 127.0.0.1:9464; got 'here'"),
        (["--metrics=127.0.0.1:70000"], "--metrics is host:port"),
        (["--port=8123", "--metrics=:8123"], "--metrics: port 8123 is the application's"),
    ],
)
def test_a_bad_option_is_one_clear_line(folder: Path, arguments: list[str], said: str) -> None:
    status, stderr = run("serve", "myapp:app", *arguments, cwd=folder)
    assert status == 2
    assert said in stderr
    assert "Traceback" not in stderr
    assert len([line for line in stderr.splitlines() if said in line]) == 1


def test_a_port_in_use_is_one_line(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, stderr = run("serve", "myapp:app", f"--port={port}", cwd=folder)
    assert status == 1
    assert stderr == (f"longwire: port {port} on 127.0.0.1 is in use: choose another with --port\n")


def test_metrics_are_at_an_address_of_their_own(folder: Path) -> None:
    with running("myapp:app", "--port=0", "--metrics=0", cwd=folder) as process:
        metrics = process.wait_for(r"metrics on (http://127\.0\.0\.1:\d+/metrics)")[1]
        assert httpx.get(process.url + "/metrics").text == "hello"
        assert 'longwire_http_requests_total{status="2xx"} 1.0' in httpx.get(metrics).text
        process.signal(signal.SIGTERM)
        assert process.exit_status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_metrics_port_in_use_is_one_line_before_anything_is_served(
    folder: Path, workers: int
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        arguments = ("--port=0", f"--workers={workers}", f"--metrics=127.0.0.1:{port}")
        status, stderr = run("serve", "myapp:failing", *arguments, cwd=folder)
    assert status == 1
    assert stderr == (
        f"longwire: port {port} on 127.0.0.1 is in use: choose another with --metrics\n"
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_without_their_package_are_one_line(folder: Path, workers: int) -> None:
    (folder / "prometheus_client.py").write_text("raise ImportError\n")
    environment = {"PYTHONPATH": f"{folder}:{ROOT}"}
    arguments = ("serve", "myapp:app", "--port=0", "--metrics=0", f"--workers={workers}")
    status, stderr = run(*arguments, cwd=folder, environment=environment)
    assert status == 2
    assert stderr == (
        "longwire: --metrics needs the package prometheus-client: pip install 'longwire[metrics]'\n"
    )


def test_a_failing_start_up_is_status_3(folder: Path) -> None:
    status, stderr = run("serve", "myapp:failing", "--port=0", cwd=folder)
    assert status == 3
    assert stderr == "longwire: no database\n"


def test_options_from_the_environment(folder: Path) -> None:
    environment = {
        "LONGWIRE_PORT": "0",
        "LONGWIRE_HEADER": "x-from:env",
        "LONGWIRE_ACCESS_LOG": "0",
    }
    with running("myapp:app", cwd=folder, environment=environment) as process:
        assert httpx.get(process.url).headers["x-from"] == "env"
        process.signal(signal.SIGTERM)
        process.exit_status()
    assert not [line for line in process.lines if '"GET' in line]
    status, stderr = run("serve", "myapp:app", cwd=folder, environment={"LONGWIRE_PORT": "-1"})
    assert (status, "--port" in stderr) == (2, True)


def test_factory_app_dir_and_env_file(folder: Path) -> None:
    (folder / "app.env").write_text("GREETING=from the file\n")
    arguments = ("--factory", "--app-dir", str(folder), "--env-file", str(folder / "app.env"))
    with running("myapp:make", "--port=0", *arguments) as process:
        assert httpx.get(process.url).text == "from the file"
    status, stderr = run("serve", "myapp:broken_factory", "--factory", cwd=folder)
    assert (status, "ValueError: no such thing" in stderr) == (1, True)


def test_nested_attribute(folder: Path) -> None:
    with running("myapp:Nested.inner", "--port=0", cwd=folder) as process:
        assert httpx.get(process.url).text == "hello"


def test_unix_socket(folder: Path) -> None:
    path = folder / "app.sock"
    with running("myapp:app", f"--uds={path}", cwd=folder) as process:
        assert process.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with unix_connect(str(path)) as client:
            client.send("hello")
            assert client.recv() == "hello"
        status, stderr = run("serve", "myapp:app", f"--uds={path}", cwd=folder)
        assert (status, "in use" in stderr) == (1, True)
        process.signal(signal.SIGKILL)
        process.exit_status()
    assert path.exists()  # it could not remove it
    with running("myapp:app", f"--uds={path}", cwd=folder) as process:
        assert process.url == f"unix:{path}"
        process.signal(signal.SIGTERM)
        process.exit_status()
    assert not path.exists()


def test_inherited_socket(folder: Path) -> None:
    status, stderr = run("serve", "myapp:app", "--fd=99", cwd=folder)
    assert (status, "--fd 99 is not a socket" in stderr) == (1, True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        command = pure.python("longwire", "serve", "myapp:app", f"--fd={listener.fileno()}")
        import os

        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stderr is not None
            assert "Longwire" in child.stderr.readline()
            port = listener.getsockname()[1]
            assert httpx.get(f"http://127.0.0.1:{port}").text == "hello"
        finally:
            child.terminate()
            child.wait(PATIENCE)
            assert child.stderr is not None
            child.stderr.close()


ACTIVATE = """
import os, sys
numbers = sys.argv[1].split(",")
for place, number in enumerate(numbers, 3):
    os.dup2(int(number), place)
os.environ.update(LISTEN_FDS=str(len(numbers)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does for a unit with sockets: it listens, and they are descriptors 3, 4..."""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
def test_a_socket_of_systemd(folder: Path, family: socket.AddressFamily) -> None:
    with socket.socket(family) as listener:
        path = str(folder / "app.sock")
        listener.bind(path if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listener.listen()
        number = listener.fileno()
        serve = pure.python("longwire", "serve", "myapp:app", "--fd=3")
        command = [sys.executable, "-c", ACTIVATE, str(number), *serve]
        for _ in range(2):  # it outlives the server, and the next one finds it
            with running_command(command, cwd=folder, pass_fds=(number,)) as process:
                if family == socket.AF_UNIX:
                    assert process.url == f"unix:{path}"
                    opened = unix_connect(path)
                else:
                    assert process.url.endswith(f":{listener.getsockname()[1]}")
                    opened = connect(process.url.replace("http", "ws"))
                with opened as client:
                    client.send("hello")
                    assert client.recv() == "hello"
                process.signal(signal.SIGTERM)
                assert process.exit_status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_two_sockets_of_systemd(folder: Path, workers: int) -> None:
    path = str(folder / "app.sock")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(path)
        numbers = []
        for listener in (tcp, unix):
            listener.listen()
            numbers.append(fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 10))  # beyond 3 and 4
        arguments = ("--fd=3", "--fd=4", f"--workers={workers}")
        serve = pure.python("longwire", "serve", "myapp:app", *arguments)
        command = [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), *serve]
        try:
            with running_command(command, cwd=folder, pass_fds=numbers) as process:
                said = process.wait_for(r"Longwire \S+ on (\S+), unix:(\S+?),? ")
                assert said[2].rstrip(",") == path
                assert said[1].endswith(f":{tcp.getsockname()[1]}")
                for opened in (connect(said[1].replace("http", "ws")), unix_connect(path)):
                    with opened as client:
                        client.send("hello")
                        assert client.recv() == "hello"
                process.signal(signal.SIGTERM)
                assert process.exit_status() == 0
        finally:
            for number in numbers:
                os.close(number)
        assert Path(path).exists()  # it is systemd's


def test_several_descriptors_from_the_environment(folder: Path) -> None:
    environment = {"LONGWIRE_FD": "98 99"}
    status, stderr = run("serve", "myapp:app", cwd=folder, environment=environment)
    assert (status, stderr) == (1, "longwire: --fd 98 is not a socket: Bad file descriptor\n")


def test_tls(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(
        "myapp:app", "--port=0", f"--ssl-certfile={folder}/server.pem", cwd=folder
    ) as process:
        assert process.url.startswith("https://127.0.0.1:")
        assert httpx.get(process.url, verify=context).text == "hello"
        with connect(process.url.replace("https", "wss"), ssl=context) as client:
            for message in ("hello", "x" * 1_000_000):
                client.send(message)
                assert client.recv() == message
            client.close(4000)
        process.wait_for("closed 4000 by the client")


def test_a_client_certificate_can_be_required(folder: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    authority.cert_pem.write_to_path(folder / "clients.pem")
    options = ("--ssl-certfile=server.pem", "--ssl-ca-certs=clients.pem", "--ssl-cert-reqs=2")
    with running("myapp:app", "--port=0", *options, cwd=folder) as process:
        url = process.url.replace("https", "wss")
        for issuer in (None, stranger, authority):
            context = ssl.create_default_context()
            authority.configure_trust(context)
            if issuer is not None:
                issuer.issue_cert("client@example.org").configure_cert(context)
            if issuer is authority:
                with connect(url, ssl=context) as client:
                    client.send("hello")
                    assert client.recv() == "hello"
            else:
                with pytest.raises((OSError, WebSocketException)), connect(url, ssl=context):
                    pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ssl-certfile=myapp.py"], "myapp.py cannot be used"),
        (["--ssl-certfile=nothing.pem"], "nothing.pem cannot be used: No such file"),
        (["--ssl-certfile=a.pem", "--ssl-keyfile=b.key"], "a.pem and b.key cannot be used"),
        (["--ssl-certfile=a.pem", "--ssl-keyfile=nothing.key"], "nothing.key cannot be used"),
        (["--ssl-certfile=a.pem", "--ssl-keyfile=a.pem"], "a.pem and a.pem cannot be used"),
        (["--ssl-certfile=whole.pem", "--ssl-ca-certs=myapp.py"], "--ssl-ca-certs: myapp.py"),
        (["--ssl-certfile=whole.pem", "--ssl-ciphers=none"], "--ssl-ciphers 'none'"),
    ],
)
def test_a_wrong_certificate_is_one_line_before_anything_is_bound(
    folder: Path, options: list[str], said: str
) -> None:
    first, second = (trustme.CA().issue_cert("127.0.0.1") for _ in range(2))
    first.cert_chain_pems[0].write_to_path(folder / "a.pem")
    first.private_key_and_cert_chain_pem.write_to_path(folder / "whole.pem")
    second.private_key_pem.write_to_path(folder / "b.key")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = f"--port={other.getsockname()[1]}"  # in use: to bind it would be another error
        status, stderr = run("serve", "myapp:app", port, *options, cwd=folder)
    assert (status, len(stderr.splitlines())) == (2, 1), stderr
    assert said in stderr


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_loops(folder: Path, loop: str) -> None:
    with running("myapp:app", "--port=0", f"--loop={loop}", cwd=folder) as process:
        process.wait_for(rf"\((compiled|interpreted), {loop}\)")
        with connect(process.url.replace("http", "ws")) as client:
            client.send("hello")
            assert client.recv() == "hello"


def test_open_sockets_are_told_1012_on_sigterm(folder: Path) -> None:
    with running("myapp:app", "--port=0", cwd=folder) as process:
        with connect(process.url.replace("http", "ws")) as client:
            process.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                client.recv()
            assert client.protocol.close_code == 1012
        assert process.exit_status() == 0


def test_help_and_version(folder: Path) -> None:
    import longwire

    for arguments, said in ((["--version"], longwire.__version__), (["serve", "-h"], "WebSocket:")):
        done = subprocess.run(
            pure.python("longwire", *arguments), capture_output=True, text=True, check=True
        )
        assert said in done.stdout


def test_run_from_python(folder: Path) -> None:
    (folder / "main.py").write_text(
        "import longwire, myapp\n"
        "if __name__ == '__main__':\n"
        "    raise SystemExit(longwire.run(myapp.app, port=0))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "main.py"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stderr is not None
        url = re.search(r"http://\S+\d", child.stderr.readline())
        assert url is not None
        assert httpx.get(url[0]).text == "hello"
    finally:
        child.terminate()
        assert child.wait(PATIENCE) == 0
        assert child.stderr is not None
        child.stderr.close()


@pytest.mark.parametrize("options", [{"workers": 2}, {"reload": True}])
def test_workers_import_the_application_themselves(options: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(ConfigError, match="need the application as module:attribute"):
        longwire.run(app, **options)
