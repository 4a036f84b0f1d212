"""X-Forwarded-For and -Proto: what a trusted proxy says, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.errors import ConfigError
from longwire.server.config import Config
from longwire.server.forwarded import MAX_HOPS, forwarded
from longwire.server.trusted import TrustedProxies
from tests.applications import Recorder
from tests.conftest import Serve
from tests.unix import unix_exchange
from tests.wire import connect, request

pytestmark = pytest.mark.anyio

OTHERS = "192.0.2.1"


async def scope_of(serve: Serve, *lines: str, upgrade: bool = False, **options: Any) -> Any:
    """Return the scope of a request with these header lines, and the client's own address."""
    app = Recorder()
    more = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    plain: dict[str, str | None] = {"Upgrade": None, "Connection": None}
    async with serve(app, **options) as server, connect(server) as client:
        await client.send(request(headers=None if upgrade else plain, more=more))
        await client.response()
        return app.scope, client.socket.getsockname()


@pytest.mark.parametrize("upgrade", [False, True], ids=["http", "websocket"])
@pytest.mark.parametrize(
    ("proto", "is_secure"),
    [("https", True), ("wss", True), ("WSS", True), ("http", False), ("ws", False)],
)
async def test_the_scheme_is_the_proxys(
    serve: Serve, upgrade: bool, proto: str, is_secure: bool
) -> None:
    scope, _ = await scope_of(serve, f"X-Forwarded-Proto: {proto}", upgrade=upgrade)
    assert scope["scheme"] == ("ws" if upgrade else "http") + ("s" if is_secure else "")


@pytest.mark.parametrize("upgrade", [False, True], ids=["http", "websocket"])
async def test_the_client_is_the_rightmost_that_is_no_proxy(serve: Serve, upgrade: bool) -> None:
    lines = ("X-Forwarded-For: 198.51.100.9, 203.0.113.7:99", "X-Forwarded-For: 10.1.2.3")
    scope, _ = await scope_of(
        serve, *lines, upgrade=upgrade, forwarded_allow_ips="127.0.0.1, 10.0.0.0/8"
    )
    assert scope["client"] == ("203.0.113.7", 99)


@pytest.mark.parametrize(
    "options",
    [{"forwarded_allow_ips": OTHERS}, {"forwarded_allow_ips": ""}, {"proxy_headers": False}],
    ids=["another proxy", "none", "off"],
)
@pytest.mark.parametrize("upgrade", [False, True], ids=["http", "websocket"])
async def test_a_stranger_is_not_believed(
    serve: Serve, upgrade: bool, options: dict[str, Any]
) -> None:
    lines = ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
    scope, own = await scope_of(serve, *lines, upgrade=upgrade, **options)
    assert (scope["client"], scope["scheme"]) == (own, "ws" if upgrade else "http")


async def test_trusted_proxies_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed, is_believed in ((OTHERS, False), ("127.0.0.0/8", True)):
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", allowed)
        scope, own = await scope_of(serve, "X-Forwarded-For: 203.0.113.7")
        assert scope["client"] == (("203.0.113.7", 0) if is_believed else own)


@pytest.mark.parametrize(
    ("allowed", "client"),
    [("127.0.0.1", None), ("unix", ["203.0.113.7", 0]), ("*", ["198.51.100.9", 0])],
)
async def test_the_peer_of_a_unix_socket(
    serve: Serve, tmp_path: Path, allowed: str, client: list[Any] | None
) -> None:
    """It is trusted by name; `*` believes even what the client wrote, as uvicorn does."""
    app = Recorder()
    path = str(tmp_path / "app.sock")
    async with serve(app, uds=path, forwarded_allow_ips=allowed):
        more = b"X-Forwarded-For: 198.51.100.9, 203.0.113.7\r\n"
        assert (await unix_exchange(path, request(more=more))).startswith(b"HTTP/1.1 101 ")
    assert app.scope["client"] == (client and tuple(client))


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.7", ("203.0.113.7", 0)),
        ("203.0.113.7:65535", ("203.0.113.7", 65535)),
        ("2001:DB8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("::ffff:203.0.113.7", ("203.0.113.7", 0)),
        ("evil, 127.0.0.1", None),
        ("127.0.0.1, 127.0.0.2", ("127.0.0.1", 0)),
        ("203.0.113.7:65536", None),
        ("203.0.113.7:+8", None),
        ("203.0.113.7:", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]80", None),
        ("fe80::1%\x1b[2J", None),
        ("unknown", None),
        ("203.0.113.7, _hidden", None),
        ("", None),
        (",", None),
    ],
)
def test_what_is_no_address_is_nobody(value: str, client: tuple[str, int] | None) -> None:
    trusted = TrustedProxies("127.0.0.0/8")
    assert forwarded([(b"x-forwarded-for", value.encode("latin-1"))], trusted)[0] == client


@pytest.mark.parametrize("value", [b"", b"ftp", b"https, http", b"https\x00"])
def test_another_scheme_says_nothing(value: bytes) -> None:
    assert forwarded([(b"x-forwarded-proto", value)], TrustedProxies("*")) == (None, None)


def test_hops_are_bounded() -> None:
    hops = b"203.0.113.7," + b",".join(b"10.0.0.%d" % i for i in range(MAX_HOPS))
    assert forwarded([(b"x-forwarded-for", hops)], TrustedProxies("10.0.0.0/8"))[0] == (
        "10.0.0.0", 0,
    )  # fmt: skip


@given(st.binary(max_size=60), st.sampled_from(["*", "::/0,0.0.0.0/0", "10.0.0.1"]))
def test_no_header_raises_or_gets_through_unread(value: bytes, allowed: str) -> None:
    client, _ = forwarded([(b"x-forwarded-for", value)], TrustedProxies(allowed))
    if client is not None:
        assert set(client[0]) <= set("0123456789abcdef.:")
        assert 0 <= client[1] <= 65535


def test_trust_is_of_addresses_not_of_texts() -> None:
    trusted = TrustedProxies(["2001:DB8:0::1", "10.0.0.0/8", "fe80::/10"])
    for believed in ("2001:db8::1", "10.200.0.1", "::ffff:10.0.0.1", "fe80::1%eth0"):
        assert trusted.trusts_peer((believed, 1))
    for stranger in ("2001:db8::2", "11.0.0.1", "::1"):
        assert not trusted.trusts_peer((stranger, 1))
    assert not trusted.trusts_peer(None)


@pytest.mark.parametrize("names", ["localhost", "10.0.0.1/8", "1.2.3", ["127.0.0.1", "::g"]])
def test_a_proxy_that_is_no_address_is_a_bad_option(names: Any) -> None:
    with pytest.raises(ConfigError, match="--forwarded-allow-ips takes addresses"):
        Config(forwarded_allow_ips=names)
