"""What the broker on NATS does beyond the contract: its streams, its limits, its clusters."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme

from longwire.errors import BrokerError
from longwire.hub.broker import Window
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.nats import NatsBroker
from longwire.hub.events import Client, Draft, Join, Leave, Position
from tests.contracts.nats_server import CREDENTIALS, NatsServer, NatsSetting, nats_setting
from tests.contracts.proxy import proxy_to
from tests.contracts.settings import NO_HISTORY, WINDOW, RecordingNode
from tests.process import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def setting() -> AsyncIterator[NatsSetting]:
    async with nats_setting() as setting:
        # What is waited for here is never that one of them has passed, but where a test says so.
        setting.heartbeat, setting.timeout = 2.0, 10.0
        yield setting


async def api(
    setting: NatsSetting, call: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Ask JetStream, as an operator would."""
    user, password = CREDENTIALS
    client = await nats.connect(f"nats://127.0.0.1:{setting.port}", user=user, password=password)
    payload = b"" if body is None else json.dumps(body).encode()
    message = await client.request(f"$JS.API.{call}", payload, timeout=5)
    await client.close()
    answer: dict[str, Any] = json.loads(message.data)
    return answer


async def test_nodes_that_come_at_once_agree_on_the_epoch(setting: NatsSetting) -> None:
    nodes = [RecordingNode(setting.broker()) for _ in range(8)]
    await asyncio.gather(*(node.broker.open(node) for node in nodes))
    positions = await asyncio.gather(*(node.subscribe("lobby") for node in nodes))
    assert len({position.epoch for position in positions}) == 1
    await asyncio.gather(*(node.broker.close() for node in nodes))


async def test_a_wider_window_widens_the_stream(setting: NatsSetting) -> None:
    wide = Window(3000, 7200.0)
    async with setting.node() as node, setting.node() as other:
        start = await node.subscribe("lobby", wide)
        publish = node.broker.publish
        for i in range(0, 2500, 100):
            await asyncio.gather(
                *(publish("lobby", Draft(str(j)), wide) for j in range(i, i + 100))
            )
        history = await other.broker.history("lobby", wide, start)
        assert history.is_whole
        assert {int(p.data) for p in history.publications} == set(range(2500))
        assert history.publications == node.publications
        latest = await other.broker.history("lobby", WINDOW)
        assert latest.publications == node.publications[2400:]
        config = (await api(setting, f"STREAM.INFO.{setting.prefix}_rooms"))["config"]
        assert config["max_msgs_per_subject"] == 3001
        assert config["max_age"] == (7200 + 24 * 3600) * 10**9


async def test_a_stream_that_is_removed_begins_another_epoch(setting: NatsSetting) -> None:
    async with setting.node() as near, setting.node() as far:
        old = await far.subscribe("lobby")
        await near.broker.publish("lobby", Draft("a"), WINDOW)
        await far.until_data("a")
        await api(setting, f"STREAM.DELETE.{setting.prefix}_rooms")
        for node in (near, far):
            await node.until(lambda node=node: node.restored > 0)  # type: ignore[misc]
        position = await near.broker.publish("lobby", Draft("b"), WINDOW)
        await far.until_data("b")
        assert position is not None
        assert position.epoch != old.epoch
        assert far.publications[-1].position == position
        assert not (await far.broker.history("lobby", WINDOW, old)).is_whole


async def test_a_quiet_room_whose_past_is_gone_has_no_gap_for_who_stayed(
    setting: NatsSetting,
) -> None:
    """All that a room had is older than the stream keeps; here an operator has removed it."""
    async with setting.node() as near, setting.node() as far:
        await far.subscribe("lobby")
        known = await near.broker.publish("lobby", Draft("a"), WINDOW)
        await far.until_data("a")
        assert known is not None
        await api(
            setting,
            f"STREAM.PURGE.{setting.prefix}_rooms",
            {"filter": f"{setting.prefix}.room.lobby"},
        )
        await near.broker.publish("lobby", Draft("b"), WINDOW)
        await far.until_data("b")
        assert far.publications[-1].previous == known.offset
        # Who comes back with that position may have missed something.
        history = await far.broker.history("lobby", WINDOW, known)
        assert not history.is_whole
        assert [p.data for p in history.publications] == ["b"]


async def test_forged_places_in_the_history_change_none(setting: NatsSetting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby")
        for number in ("9223372036854775807", "999999999999", "-1", "0", "x"):
            headers = f"NATS/1.0\r\nNats-Stream: {setting.prefix}_rooms\r\n"
            headers += f"Nats-Sequence: {number}\r\nNats-Last-Sequence: 0\r\n\r\n"
            forged = (f"{setting.prefix}.live.lobby", headers.encode(), b"T{}\nforged")
            await asyncio.to_thread(setting.server.publish, [forged])
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        await node.until_data("a")
        assert node.data == ["a"]


async def test_a_node_that_does_not_keep_up_is_told_that_it_lost(setting: NatsSetting) -> None:
    server = NatsServer("max_pending: 1MB\nwrite_deadline: 300ms")
    await asyncio.to_thread(server.start)
    try:
        slow = NatsSetting(server)
        slow.heartbeat, slow.timeout = setting.heartbeat, setting.timeout
        async with slow.node() as near, proxy_to(server.port) as proxy:
            async with slow.node_of(broker_at(slow.url(proxy.port))) as far:
                window = Window(1000, 60.0)
                start = await far.subscribe("lobby", window)
                proxy.hold_answers()
                sent: list[str | bytes] = []
                while not far.lost:
                    sent.append(f"{len(sent)} " + "x" * 100_000)
                    await near.broker.publish("lobby", Draft(sent[-1]), window)
                    assert len(sent) < 1000
                    if len(sent) == 60:
                        proxy.forward()
                await far.until(lambda: far.restored == 1)
                history = await far.broker.history("lobby", window, start)
                assert history.is_whole
                assert [p.data for p in history.publications] == sent
    finally:
        await asyncio.to_thread(server.close)


async def test_a_message_that_the_server_does_not_take(setting: NatsSetting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby")
        for window in (WINDOW, NO_HISTORY):
            with pytest.raises(BrokerError, match="a message of 1100004 bytes; the server takes"):
                await node.broker.publish("lobby", Draft("x" * 1_100_000), window)
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        await node.until_data("a")
        assert (node.lost, node.restored) == ([], 0)


async def test_a_server_without_jetstream_is_refused(setting: NatsSetting) -> None:
    server = NatsServer()
    config = server.config.read_text().replace("jetstream {", "leafnodes {\n}\nignored {")
    config = config[: config.index("leafnodes")] + config[config.index("authorization") :]
    server.config.write_text(config)
    await asyncio.to_thread(server.start)
    try:
        broker = NatsSetting(server).broker()
        with pytest.raises(BrokerError, match="JetStream does not answer"):
            await broker.open(RecordingNode(broker))
        await broker.close()
    finally:
        await asyncio.to_thread(server.close)


async def test_tls_with_a_certificate_of_the_systems_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    file = tmp_path / "server.pem"
    server = NatsServer(f'tls {{\n  cert_file: "{file}"\n  key_file: "{file}"\n}}')
    await asyncio.to_thread(server.start)
    try:
        url = (
            NatsSetting(server).url().replace("nats://", "tls://").replace("127.0.0.1", "localhost")
        )
        stranger = broker_at(url)
        with pytest.raises(
            BrokerError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"
        ):
            await stranger.open(RecordingNode(stranger))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        node = RecordingNode(broker_at(url))
        await node.broker.open(node)
        await node.subscribe("lobby")
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        await node.until_data("a")
        await node.broker.close()
    finally:
        await asyncio.to_thread(server.close)


async def test_the_permissions_in_the_documents_are_enough(setting: NatsSetting) -> None:
    text = (ROOT / "docs" / "hub-brokers.md").read_text("utf-8")
    permissions = text[text.index("permissions: {") :].partition("```")[0]
    server = NatsServer()
    config = server.config.read_text()
    server.config.write_text(
        config.replace('password: "p%w@rd"', f'password: "p%w@rd"\n{permissions}')
    )
    await asyncio.to_thread(server.start)
    try:
        narrow = NatsSetting(server)
        narrow.prefix = "longwire"
        async with narrow.node() as near, narrow.node() as far:
            for broker in (near.broker, broker_at(narrow.url() + "&replicas=3")):
                assert isinstance(broker, NatsBroker)
                if broker is not near.broker:
                    await broker.open(RecordingNode(broker))
                await far.subscribe("lobby", Window(1000, 7200.0))
                await broker.publish("lobby", Draft("a"), Window(1000, 7200.0))
                await broker.signal(Join("lobby", Client("c9")))
                await broker.enter("lobby", Client("c1"))
                assert len((await broker.history("lobby", WINDOW)).publications) > 0
                assert await broker.present("lobby") == [Client("c1")]
                await broker.exit("lobby", Client("c1"))
                await broker.unsubscribe("lobby")
                if broker is not near.broker:
                    await broker.close()
            await far.until(lambda: len(far.events) == 8)
        log = server.log.read_text()
        assert "Permissions Violation" not in log
    finally:
        await asyncio.to_thread(server.close)


async def test_closing_without_a_server_takes_no_longer_than_the_timeout(
    setting: NatsSetting,
) -> None:
    setting.timeout = 2.0
    async with setting.node() as node:
        assert isinstance(node.broker, NatsBroker)
        await node.broker.enter("lobby", Client("c1"))
        await setting.kill()
        began = time.monotonic()
        await node.broker.close()
        await node.broker.close()
        # One for each thing that there is to say would be two.
        assert time.monotonic() - began < 2 * setting.timeout


async def test_closing_without_a_server_is_soon_over(
    setting: NatsSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for who gives everything else the time that an election takes, as with replicas."""
    monkeypatch.setattr("longwire.hub.brokers.nats.broker.CLOSE_SECONDS", 0.5)
    broker = broker_at(setting.url() + "&timeout=20")
    await broker.open(RecordingNode(broker))
    await setting.kill()
    began = time.monotonic()
    await broker.close()
    assert time.monotonic() - began < 5


async def test_a_close_that_is_forgotten_in_the_middle_of_a_connect_is_a_close(
    setting: NatsSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wait_for() of Python 3.11 does, if what it waits for fails just then: nats-py has it."""
    is_connecting = asyncio.Event()
    attempts = 0

    async def connect(*arguments: Any) -> None:
        nonlocal attempts
        attempts += 1
        is_connecting.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if attempts == 1:
                raise OSError("refused at that moment") from None
            raise

    broker = broker_at(setting.url())
    await broker.open(RecordingNode(broker))
    monkeypatch.setattr("longwire.hub.brokers.nats.client.Client.open", connect)
    monkeypatch.setattr("longwire.hub.brokers.nats.broker.CLOSE_SECONDS", 0.1)
    await setting.kill()
    async with asyncio.timeout(20):
        await is_connecting.wait()
        await broker.close()


async def test_what_is_asked_of_a_connection_that_is_just_ending_waits_for_the_next(
    setting: NatsSetting,
) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.subscribe("lobby")
        link = near.broker._link  # type: ignore[attr-defined]
        client = link._client
        ending = asyncio.create_task(client._process_op_err(OSError("the server is gone")))
        await asyncio.sleep(0)
        assert client.is_closed
        assert not client.lost.done(), "nats-py tells of it later"
        await asyncio.gather(
            near.broker.subscribe("attic", WINDOW),
            near.broker.subscribe("porch", NO_HISTORY),
            near.broker.history("lobby", WINDOW),
            near.broker.publish("lobby", Draft("a"), WINDOW),
            near.broker.publish("lobby", Draft("b"), NO_HISTORY),
            link.in_force(link.deadline()),
        )
        await ending
        assert link._client is not client
        await far.until(lambda: {"a", "b"} <= set(far.data))
        for room, window in (("attic", WINDOW), ("porch", NO_HISTORY)):
            await far.broker.publish(room, Draft(room), window)
            await near.until_data(room)


async def test_a_silent_server_leaves_time_for_the_others(setting: NatsSetting) -> None:
    user, password = CREDENTIALS
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{setting.port}"
        broker = NatsBroker(url, user=user, password=password, timeout=6)
        broker._link._next_server = 0
        began = time.monotonic()
        await broker.open(RecordingNode(broker))
        assert time.monotonic() - began < 6  # half of it; else it had all of it
        await broker.close()


async def test_many_clients_of_one_node_leave_once(setting: NatsSetting) -> None:
    count = 1500
    setting.heartbeat = 1.0  # three of which are waited for
    async with setting.node() as near, setting.node() as other:
        assert isinstance(near.broker, NatsBroker)
        await near.subscribe("lobby")
        far = RecordingNode(setting.broker())
        assert isinstance(far.broker, NatsBroker)
        await far.broker.open(far)
        enter = far.broker.enter
        await asyncio.gather(*(enter("lobby", Client(f"c{i}")) for i in range(count)))
        assert len(await near.broker.present("lobby")) == count
        await near.until(lambda: sum(isinstance(e, Join) for e in near.events) == count)
        # It dies: no more heartbeats, and nothing that says goodbye.
        beating = far.broker._beating
        assert beating is not None
        beating.cancel()
        await far.broker._link.close()
        await near.until(lambda: sum(isinstance(e, Leave) for e in near.events) == count, 20)
        assert await other.broker.present("lobby") == []  # type: ignore[attr-defined]
        assert len({e.client.id for e in near.events if isinstance(e, Leave)}) == count


async def test_a_position_of_an_offset_that_never_was(setting: NatsSetting) -> None:
    async with setting.node() as node:
        start = await node.subscribe("lobby")
        await node.broker.publish("attic", Draft("x"), WINDOW)
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        history = await node.broker.history("lobby", WINDOW, Position(1, start.epoch))
        assert not history.is_whole
