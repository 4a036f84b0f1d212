"""Who a node is to Redis: every way in which an address says so gets in, and is shown to nobody."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from redis import Redis

from longwire.errors import BrokerError
from longwire.hub import Hub
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.redis import RedisBroker
from tests.contracts.redis_server import RedisSetting, redis_setting
from tests.contracts.settings import RecordingNode
from tests.hub.connections import until
from tests.ports import fixed_port

pytestmark = pytest.mark.anyio

PASSWORD, ESCAPED = "p%w/@r?d", "p%25w%2F%40r%3Fd"
RULE = ("~longwire:*", "&longwire:*", "+@all")

ADDRESSES = {
    "the default user": f"redis://:{ESCAPED}@{{place}}/0",
    "a user": f"redis://ann:{ESCAPED}@{{place}}/0",
    "TLS": f"rediss://ann:{ESCAPED}@{{tls}}/0?ssl_ca_certs={{folder}}/ca.pem",
    "options": f"redis://{{place}}?username=ann&password={ESCAPED}",
    "a socket": f"unix://{{socket}}?username=ann&password={ESCAPED}",
    "a socket with a user": f"unix://ann:{ESCAPED}@{{socket}}",
}
addresses = pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[RedisSetting, dict[str, str]]]:
    """A Redis that knows two users, also over TLS, and where it is."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = tmp_path / "redis.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    port = fixed_port()
    async with redis_setting(
        "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file",
        f"{tmp_path}/ca.pem", "--tls-cert-file", str(pem), "--tls-key-file", str(pem),
    ) as setting:  # fmt: skip
        with setting.server.client() as redis:
            redis.execute_command("ACL", "SETUSER", "ann", "on", f">{PASSWORD}", *RULE)
            redis.config_set("requirepass", PASSWORD)
        yield setting, {
            "place": f"127.0.0.1:{setting.port}", "tls": f"127.0.0.1:{port}",
            "socket": setting.server.socket_path, "folder": str(tmp_path),
        }  # fmt: skip


def assert_hidden(*shown: object) -> None:
    for thing in shown:
        text = thing if isinstance(thing, str) else repr(thing)
        for secret in (PASSWORD, ESCAPED, PASSWORD.partition("/")[0]):
            assert secret not in text


@addresses
async def test_who_is_known_gets_in(
    address: str,
    guarded: tuple[RedisSetting, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting, places = guarded
    caplog.set_level(logging.DEBUG)  # of all packages
    broker = broker_at(address.format(**places))
    assert isinstance(broker, RedisBroker)
    async with Hub(broker) as hub:
        assert await hub.publish("lobby", "x")
        assert_hidden(hub, vars(hub), vars(broker), broker._options, vars(broker._connections))
        assert_hidden(broker._connections.make())
        await setting.kill()
        await until(lambda: "does not answer" in caplog.text)
    assert_hidden(caplog.text)


@addresses
async def test_who_is_not_known_is_refused(
    address: str,
    guarded: tuple[RedisSetting, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting, places = guarded
    caplog.set_level(logging.DEBUG)
    with Redis(port=setting.port, password=PASSWORD) as redis:
        redis.execute_command("ACL", "SETUSER", "ann", "resetpass", ">another")
        redis.config_set("requirepass", "another")
    broker = broker_at(address.format(**places))
    with pytest.raises(BrokerError, match="invalid username-password pair") as refused:
        await broker.open(RecordingNode(broker))
    await broker.close()
    assert_hidden(caplog.text, "".join(traceback.format_exception(refused.value)))
    assert "ann" not in str(refused.value)
