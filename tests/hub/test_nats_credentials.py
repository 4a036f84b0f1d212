"""Who a node is to NATS: each way to say so gets in, is refused, and is shown to nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import subprocess
import sys
import traceback
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from longwire.errors import BrokerError
from longwire.hub import Hub
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.nats import NatsBroker
from tests.contracts.nats_accounts import USER, Accounts, Key
from tests.contracts.nats_server import TESTER, NatsServer, command
from tests.contracts.settings import RecordingNode
from tests.hub.connections import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(command() is None, reason="no nats-server here: pip install '.[nats]'"),
]


@dataclass
class Way:
    """A way to say who a node is: to the server, and in the arguments of a broker or its address.

    `{place}` in an address is host and port. `secrets` are shown to nobody.
    """

    who: str
    secrets: list[str]
    url: str = "nats://{place}"
    arguments: dict[str, Any] | None = None

    def broker(self, server: NatsServer) -> NatsBroker:
        url = self.url.format(place=f"127.0.0.1:{server.port}")
        broker = broker_at(url) if not self.arguments else NatsBroker(url, **self.arguments)
        assert isinstance(broker, NatsBroker)
        return broker


PASSWORD, TOKEN = "p%w@rd", "t0k3n-of-all"
BY_TOKEN = f'authorization {{ token: "{TOKEN}" }}'
ACCOUNTS = Accounts()


def written(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


def user_in_address(folder: Path) -> Way:
    return Way(TESTER, [PASSWORD, "p%25w%40rd"], "nats://tester:p%25w%40rd@{place}")


def user(folder: Path) -> Way:
    return Way(TESTER, [PASSWORD], arguments={"user": "tester", "password": PASSWORD})


def token_in_address(folder: Path) -> Way:
    return Way(BY_TOKEN, [TOKEN], f"nats://{TOKEN}@{{place}}")


def token(folder: Path) -> Way:
    return Way(BY_TOKEN, [TOKEN], arguments={"token": TOKEN})


def seed(folder: Path) -> Way:
    key = Key(USER)
    who = f"authorization {{ users: [{{ nkey: {key.public} }}] }}"
    return Way(who, [key.seed], arguments={"nkeys_seed": Path(written(folder, key.seed + "\n"))})


def seed_in_address(folder: Path) -> Way:
    way = seed(folder)
    return Way(way.who, way.secrets, f"nats://{{place}}?nkeys_seed={folder}/secret")


def file(folder: Path) -> Way:
    text = ACCOUNTS.credentials()
    secrets = [line for line in text.splitlines() if line and "-----" not in line]
    return Way(ACCOUNTS.who, secrets, arguments={"user_credentials": written(folder, text)})


def file_in_address(folder: Path) -> Way:
    way = file(folder)
    return Way(way.who, way.secrets, f"nats://{{place}}?user_credentials={folder}/secret")


WAYS = [
    user_in_address,
    user,
    token_in_address,
    token,
    seed,
    seed_in_address,
    file,
    file_in_address,
]
ways = pytest.mark.parametrize("make_way", WAYS, ids=lambda make_way: make_way.__name__)
MakeWay = Callable[[Path], Way]


@contextlib.asynccontextmanager
async def serving(more: str = "", who: str = TESTER) -> AsyncIterator[NatsServer]:
    server = NatsServer(more, who)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.close)


def assert_hidden(way: Way, *shown: object) -> None:
    for secret in way.secrets:
        for thing in shown:
            assert secret not in (thing if isinstance(thing, str) else repr(thing))


@ways
async def test_who_is_known_gets_in(
    make_way: MakeWay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    way = make_way(tmp_path)
    caplog.set_level(logging.DEBUG)  # of all packages
    async with serving(who=way.who) as server:
        broker = way.broker(server)
        async with Hub(broker) as hub:
            assert await hub.publish("lobby", "x")
            await asyncio.to_thread(server.kill)
            await until(lambda: "does not answer" in caplog.text)
            await asyncio.to_thread(server.start)
            await until(lambda: "answers again" in caplog.text)
            assert len((await hub.history("lobby")).publications) == 1
            link = broker._link
            assert_hidden(way, hub, vars(hub), vars(broker), vars(link), broker._options)
    assert_hidden(way, caplog.text)


@ways
async def test_who_is_not_known_is_refused(
    make_way: MakeWay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By a server that knows others: the error says so, and not what was said."""
    way = make_way(tmp_path)
    caplog.set_level(logging.DEBUG)
    who = TESTER.replace("p%w@rd", "another")
    async with serving(who=who) as server:
        broker = way.broker(server)
        with pytest.raises(BrokerError, match="Authorization Violation") as refused:
            await broker.open(RecordingNode(broker))
        await broker.close()
    assert f"nats://127.0.0.1:{server.port}" in str(refused.value)
    assert_hidden(way, caplog.text, "".join(traceback.format_exception(refused.value)))
    assert "tester" not in caplog.text + str(refused.value)


APP = """
import os, signal
from longwire.hub import Hub

hub = Hub()

async def app(scope, receive, send):
    await receive()
    async with hub:
        await hub.publish("lobby", "x")
    await send({"type": "lifespan.startup.complete"})
    os.kill(os.getpid(), signal.SIGTERM)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
"""


@pytest.mark.parametrize("by", ["option", "environment"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_the_address_of_a_served_application(by: str, is_known: bool, tmp_path: Path) -> None:
    """`serve --broker` and LONGWIRE_BROKER say what an address can; nothing of it is printed."""
    way = seed_in_address(tmp_path)
    (tmp_path / "served.py").write_text(APP)
    async with serving(who=way.who if is_known else BY_TOKEN) as server:
        url = way.url.format(place=f"127.0.0.1:{server.port}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longwire", "serve", "served:app", "--port", "0",
            "--lifespan", "on", *(["--broker", url] if by == "option" else []),
            cwd=tmp_path, stdout=PIPE, stderr=STDOUT,
            env={**os.environ, **({"LONGWIRE_BROKER": url} if by == "environment" else {})},
        )  # fmt: skip
        try:
            async with asyncio.timeout(20):
                printed = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
    assert ("Authorization Violation" in printed) is not is_known
    assert process.returncode == (0 if is_known else 3)
    assert_hidden(way, printed)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"user": "ann"}, "user and password are given together"),
        ({"password": "s3cret"}, "user and password are given together"),
        ({"token": "s3cret", "nkeys_seed": "file"}, "one of token, nkeys_seed says who"),
    ],
)
def test_arguments_that_contradict(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(BrokerError, match=error) as raised:
        NatsBroker("nats://host", **arguments)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("name", ["nkeys_seed", "user_credentials"])
def test_a_secret_in_place_of_a_path_is_not_shown(name: str) -> None:
    for secret in (Key(USER).seed, Key(USER).seed + "\n", ACCOUNTS.credentials()):
        arguments: dict[str, Any] = {name: secret}
        with pytest.raises(BrokerError, match=f"^{name} is the path of a file$") as raised:
            NatsBroker("nats://host", **arguments)
        assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("name", ["nkeys_seed", "user_credentials"])
async def test_half_a_secret_in_place_of_a_path_is_not_shown(name: str) -> None:
    async with serving() as server:
        arguments: dict[str, Any] = {name: "SUAs3cret"}
        broker = NatsBroker(f"nats://127.0.0.1:{server.port}", **arguments)
        with pytest.raises(BrokerError, match=f"{name}: No such file or directory") as refused:
            await broker.open(RecordingNode(broker))
        assert_hidden(Way("", ["s3cret"]), str(refused.value), broker._options)


@pytest.mark.parametrize("name", ["nkeys_seed", "user_credentials"])
def test_files_need_a_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nkeys", None)  # as if it were not installed
    with pytest.raises(BrokerError, match=r"needs the package nkeys: pip install 'nats-py\[nkeys"):
        broker_at(f"nats://host?{name}=file")


def test_credentials_stand_in_one_place() -> None:
    with pytest.raises(BrokerError, match="nats://host:4222: credentials stand in") as raised:
        NatsBroker("nats://ann:s3cret@host", token="t0k3n")
    assert_hidden(Way("", ["s3cret", "t0k3n"]), str(raised.value))


@pytest.mark.parametrize("name", ["nkeys_seed", "user_credentials"])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "No such file or directory"),
        ("", "no seed of an nkey|no credentials file"),
        ("s3cret", "no seed of an nkey|no credentials file"),
        ("SUAs3cret\n-----BEGIN NATS USER JWT-----\n", "no seed of an nkey|no credentials file"),
        ("\xff", "no seed of an nkey|no credentials file"),
    ],
)
async def test_files_that_are_none(name: str, text: str | None, error: str, tmp_path: Path) -> None:
    if text is not None:
        written(tmp_path, text)
    async with serving() as server:
        broker = broker_at(f"nats://127.0.0.1:{server.port}?{name}={tmp_path}/secret")
        with pytest.raises(BrokerError, match=error) as refused:
            await broker.open(RecordingNode(broker))
        assert "s3cret" not in str(refused.value)


# ---- TLS ----------------------------------------------------------------------------------------


class Authority:
    """Makes certificates, and knows nobody but whom it made one for."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(self, name: str) -> Path:
        path = self._folder / f"{name}.pem"
        issued = self._authority.issue_cert(name)
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return path

    @property
    def demand(self) -> str:
        """Configures a server to take nobody else."""
        server = self.issue("localhost")
        files = f'cert_file: "{server}"\n key_file: "{server}"\n ca_file: "{self.file}"'
        return f"tls {{ {files}\n verify: true }}"


async def test_tls_by_files_of_the_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("client.example")
    async with serving(authority.demand) as server:
        place = f"nats://tester:p%25w%40rd@localhost:{server.port}?ssl_ca_certs={authority.file}"
        async with Hub(f"{place}&ssl_certfile={client}") as hub:
            assert await hub.publish("lobby", "x")
        with pytest.raises(BrokerError, match=f"tls://localhost:{server.port}"):
            async with Hub(place):
                pass


async def test_tls_by_a_context(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(authority.issue("client.example"))
    async with serving(authority.demand) as server:
        url = f"nats://tester:p%25w%40rd@localhost:{server.port}"
        async with Hub(NatsBroker(url, tls=context)) as hub:
            assert await hub.publish("lobby", "x")
    async with serving() as plain:
        url = f"nats://tester:p%25w%40rd@localhost:{plain.port}"
        with pytest.raises(BrokerError, match="the server offers no TLS"):
            async with Hub(NatsBroker(url, tls=context)):
                pass


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("ssl_ca_certs=/no/such/file", "ssl_ca_certs: No such file or directory"),
        ("ssl_certfile=/no/such/file", "ssl_certfile: No such file or directory"),
        ("ssl_keyfile=/no/such/file", "ssl_keyfile is the key of ssl_certfile"),
    ],
)
def test_files_of_tls_that_are_none(query: str, error: str) -> None:
    with pytest.raises(BrokerError, match=error):
        broker_at(f"tls://host?{query}")


def test_a_key_that_is_locked_is_refused_without_a_question(tmp_path: Path) -> None:
    """Else OpenSSL would ask on the terminal, or on the standard input where there is none."""
    client = Authority(tmp_path).issue("client.example")
    key = load_pem_private_key(client.read_bytes(), password=None)
    locked = tmp_path / "locked.pem"
    how = BestAvailableEncryption(b"s3cret")
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    url = f"tls://host?ssl_certfile={client}&ssl_keyfile={locked}"
    code = f"from longwire.hub.brokers import broker_at; broker_at({url!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        input=b"s3cret\n", capture_output=True, timeout=20, check=False, start_new_session=True,
    )  # fmt: skip
    assert b"BrokerError: ssl_certfile, ssl_keyfile: " in ended.stderr
    assert b"pass phrase" not in ended.stderr + ended.stdout
