"""What the broker on Redis does beyond the contract of all brokers: keys, strangers, doubts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from longwire.errors import BrokerError
from longwire.hub.broker import Window
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.redis import RedisBroker, scripts
from longwire.hub.brokers.redis import broker as redis_broker
from longwire.hub.events import Client, Draft, Join, Leave, Position
from tests.contracts.proxy import proxy_to
from tests.contracts.redis_server import RedisSetting, redis_setting
from tests.contracts.settings import NO_HISTORY, WINDOW, RecordingNode, until
from tests.ports import fixed_port

pytestmark = pytest.mark.anyio

ALICE = Client("c1", "alice")


@pytest.fixture
async def setting() -> AsyncIterator[RedisSetting]:
    async with redis_setting() as setting:
        # What is waited for here is never that one of them has passed, but where a test says so.
        setting.heartbeat, setting.timeout = 1.0, 10.0
        yield setting


def table(node: RecordingNode) -> RedisBroker:
    assert isinstance(node.broker, RedisBroker)
    return node.broker


# What is kept, and for how long


async def test_everything_is_under_the_prefix_and_expires(setting: RedisSetting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby", Window(10, 60))
        await node.broker.publish("lobby", Draft("a"), Window(10, 60))
        await node.subscribe("attic", Window(10, 60))
        await node.broker.publish("cellar", Draft("a"), NO_HISTORY)
        await table(node).enter("lobby", ALICE)
        with setting.server.client() as redis:
            keys = {
                key.decode().removeprefix(setting.prefix): redis.ttl(key)
                for key in redis.scan_iter()
            }
    assert 24 * 3600 < keys.pop(":room:lobby") <= 24 * 3600 + 60
    assert 24 * 3600 < keys.pop(":room:attic") <= 24 * 3600 + 60
    assert 0 < keys.pop(":history:lobby") <= 60
    assert set(keys) == {":nodes", ":present:lobby", f":node:{node.id}"}


async def test_a_quiet_room_keeps_its_epoch_while_somebody_is_in_it(
    setting: RedisSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_broker, "KEEP_AGAIN_SECONDS", 0.0)
    async with setting.node() as node:
        position = await node.subscribe("lobby")
        with setting.server.client() as redis:
            redis.expire(f"{setting.prefix}:room:lobby", 60)  # soon, and not before it is kept

            async def is_kept() -> bool:
                return int(redis.ttl(f"{setting.prefix}:room:lobby")) > 3600

            await until(is_kept)
        assert await node.subscribe("lobby") == position


async def test_a_closed_node_leaves_nothing_behind(setting: RedisSetting) -> None:
    async with setting.node() as node:
        await table(node).enter("lobby", ALICE)
        await node.broker.subscribe("lobby", NO_HISTORY)
    with setting.server.client() as redis:
        assert redis.keys() == []


async def test_windows_may_last_for_ever(setting: RedisSetting) -> None:
    async with setting.node() as node:
        window = Window(10, float("inf"))
        position = await node.broker.publish("lobby", Draft("a"), window)
        history = await node.broker.history("lobby", window)
        assert (history.position, len(history.publications)) == (position, 1)


async def test_databases_and_prefixes_are_apart(setting: RedisSetting) -> None:
    here = f"redis://127.0.0.1:{setting.port}"
    addresses = [here, f"{here}/1", f"{here}?prefix=other", f"unix://{setting.server.socket_path}"]
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(setting.node_of(broker_at(a))) for a in addresses]
        for node in nodes:
            await node.subscribe("lobby")
        for number, node in enumerate(nodes):
            await node.broker.publish("lobby", Draft(str(number)), WINDOW)
            await node.until_data(str(number))
        await nodes[0].until_data("3")
        assert [node.data for node in nodes] == [["0", "3"], ["1"], ["2"], ["0", "3"]]


async def test_two_connections_whatever_there_is_to_do(setting: RedisSetting) -> None:
    async with setting.node() as node:

        async def work(i: int) -> None:
            await node.subscribe(f"room{i}")
            await node.broker.publish(f"room{i}", Draft("a"), WINDOW)

        await asyncio.gather(*(work(i) for i in range(100)))
        with setting.server.client() as redis:
            assert len(redis.client_list()) == 3


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "redis.pem")
    port = fixed_port()
    async with redis_setting(
        "--tls-port", str(port), "--tls-auth-clients", "no",
        "--tls-cert-file", str(tmp_path / "redis.pem"),
        "--tls-key-file", str(tmp_path / "redis.pem"),
        "--tls-ca-cert-file", str(tmp_path / "ca.pem"),
    ) as setting:  # fmt: skip
        address = f"rediss://127.0.0.1:{port}/0"
        async with setting.node_of(broker_at(f"{address}?ssl_ca_certs={tmp_path}/ca.pem")) as node:
            await node.subscribe("lobby")
            await node.broker.publish("lobby", Draft("a"), WINDOW)
            await node.until_data("a")
        stranger = broker_at(address)
        with pytest.raises(BrokerError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.open(RecordingNode(stranger))


# Nodes


async def test_many_clients_of_a_dead_node_are_taken_out(setting: RedisSetting) -> None:
    """More than one script takes out, by two nodes at once: one Leave each."""
    setting.heartbeat = 0.5  # three of which are waited for
    clients = [Client(f"c{i}", info="\n") for i in range(700)]
    async with setting.node() as near, setting.node() as far, proxy_to(setting.port) as proxy:
        await near.subscribe("lobby")
        async with setting.node_of(broker_at(setting.url(proxy.port))) as gone:
            await asyncio.gather(*(table(gone).enter("lobby", client) for client in clients))
            await near.until(lambda: len(near.events) == 700)
            proxy.drop()
            await near.until(lambda: len(near.events) == 1400)
            assert await table(far).present("lobby") == []
            with setting.server.client() as redis:
                assert not redis.exists(f"{setting.prefix}:node:{gone.id}")
            await far.broker.publish("lobby", Draft("end"), WINDOW)
            await near.until_data("end")
            leaves = [event for event in near.events if isinstance(event, Leave)]
            assert sorted(leave.client.id for leave in leaves) == sorted(c.id for c in clients)
            proxy.forward()
            await gone.until(lambda: gone.restored > 0)


async def test_a_client_that_moved_is_not_taken_out_with_its_old_node(
    setting: RedisSetting,
) -> None:
    async with setting.node() as near:
        await near.subscribe("lobby")
        async with setting.node() as far:
            await table(far).enter("lobby", ALICE)
            await table(near).enter("lobby", ALICE)
        assert await table(near).present("lobby") == [ALICE]
        await near.broker.publish("lobby", Draft("end"), WINDOW)
        await near.until_data("end")
        assert near.events[:-1] == [Join("lobby", ALICE)]


async def test_any_id_of_a_node_will_do(setting: RedisSetting) -> None:
    broker = broker_at(setting.url())
    node = RecordingNode(broker)
    node.id = "a:b\n%Ω"
    await broker.open(node)
    await table(node).enter("lobby", ALICE)
    assert await table(node).present("lobby") == [ALICE]
    await broker.close()
    with setting.server.client() as redis:
        assert redis.keys() == []


async def test_a_node_that_was_taken_out_in_part_enters_again(setting: RedisSetting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby")
        clients = [Client("c1"), Client("c2"), Client("c3")]
        for client in clients:
            await table(node).enter("lobby", client)
        prefix = setting.prefix
        with setting.server.client() as redis:
            redis.eval(
                scripts.BURY.source, 2, f"{prefix}:nodes", f"{prefix}:node:{node.id}",
                node.id, 1, 1, f"{prefix}:present:", f"{prefix}:0:events:",
            )  # fmt: skip
        await node.until(lambda: node.restored == 1)
        assert await table(node).present("lobby") == []  # the others, too
        for client in clients:
            await table(node).enter("lobby", client)
        await node.until(lambda: len(node.events) == 9)
        assert [type(event) for event in node.events] == [Join] * 3 + [Leave] * 3 + [Join] * 3
        assert sorted(c.id for c in await table(node).present("lobby")) == ["c1", "c2", "c3"]


@pytest.mark.parametrize("who", ["the node that stood still", "another node"])
async def test_who_was_not_seen_meanwhile_is_announced(setting: RedisSetting, who: str) -> None:
    """A node has stood still for too long, but nobody has taken its clients out yet."""
    setting.heartbeat = 60.0  # this one looks for nobody
    async with setting.node() as watching:
        setting.heartbeat = 1.0
        async with setting.node() as node:
            await table(node).enter("lobby", ALICE)
            await watching.subscribe("lobby")
            with setting.server.client() as redis:
                redis.zadd(f"{setting.prefix}:nodes", {node.id: 1})
            assert await table(watching).present("lobby") == []
            if who == "another node":
                await table(watching).enter("lobby", ALICE)
            else:
                await node.until(lambda: node.restored == 1)
                await table(node).enter("lobby", ALICE)
            await watching.until(lambda: len(watching.events) == 2)
            assert watching.events == [Leave("lobby", ALICE), Join("lobby", ALICE)]
            assert await table(watching).present("lobby") == [ALICE]


# Doubts


@contextlib.asynccontextmanager
async def answer_lost(
    setting: RedisSetting, window: Window, others: list[str], theirs: Window
) -> AsyncIterator[tuple[RecordingNode, asyncio.Task[Position | None]]]:
    """Publish "a", lose the answer, and publish the others, by another node, before it is asked for
    again."""
    async with setting.node() as near, proxy_to(setting.port) as proxy:
        await near.subscribe("lobby", theirs)
        async with setting.node_of(broker_at(setting.url(proxy.port))) as far:
            proxy.hold_answers()
            publishing = asyncio.create_task(far.broker.publish("lobby", Draft("a"), window))
            await near.until_data("a")
            for text in others:
                await near.broker.publish("lobby", Draft(text), theirs)
            proxy.cut()
            proxy.forward()
            yield near, publishing
        await near.until_data(others[-1])
        assert near.data == ["a", *others]


async def test_a_publication_whose_answer_was_lost_keeps_its_position(
    setting: RedisSetting,
) -> None:
    others = [str(i) for i in range(250)]
    async with answer_lost(setting, WINDOW, others, Window(300, 60)) as (near, publishing):
        assert await publishing == near.publications[0].position


async def test_what_the_history_has_lost_is_not_published_again(setting: RedisSetting) -> None:
    few = Window(3, 60)
    async with answer_lost(setting, few, ["b", "c", "d"], few) as (_, publishing):
        with pytest.raises(BrokerError, match="too small to tell"):
            await publishing


async def test_what_a_killed_redis_may_have_forgotten_is_not_published_again(
    setting: RedisSetting,
) -> None:
    async with setting.node() as near, proxy_to(setting.port) as proxy:
        await near.subscribe("lobby")
        async with setting.node_of(broker_at(setting.url(proxy.port))) as far:
            proxy.hold_answers()
            publishing = asyncio.create_task(far.broker.publish("lobby", Draft("a"), WINDOW))
            await near.until_data("a")
            await setting.kill()
            proxy.forward()
            await setting.start()
            with contextlib.suppress(BrokerError):
                await publishing  # its answer may have come through in the end
            await near.until(lambda: near.restored == 1)
            await near.broker.publish("lobby", Draft("end"), WINDOW)
            await near.until_data("end")
        assert near.data == ["a", "end"]


async def test_a_forgotten_script_is_loaded_again(setting: RedisSetting) -> None:
    setting.heartbeat = 5.0  # nothing is to be lost here, however busy the machine
    async with setting.node() as node:
        await node.subscribe("lobby")
        with setting.server.client() as redis:
            for i in range(3):
                redis.script_flush()
                await node.broker.publish("lobby", Draft(str(i)), WINDOW)
        await node.until_data("2")
        assert (node.data, node.lost) == (["0", "1", "2"], [])


async def test_heartbeats_go_on_when_the_scripts_are_forgotten(setting: RedisSetting) -> None:
    setting.heartbeat = 2.0
    async with setting.node() as node:
        await table(node).enter("lobby", ALICE)
        with setting.server.client() as redis:

            def lives_until() -> float:
                return float(str(redis.zscore(f"{setting.prefix}:nodes", node.id)))

            redis.script_flush()
            known = lives_until()

            async def is_prolonged() -> bool:
                return lives_until() > known

            await until(is_prolonged)
        assert await table(node).present("lobby") == [ALICE]
        assert (node.lost, node.restored) == ([], 0)


async def test_a_redis_that_becomes_a_replica_is_left(setting: RedisSetting) -> None:
    """Behind an address that moves on: the connection would stay with the one that was."""
    async with setting.node() as node:
        with setting.server.client() as redis:
            redis.replicaof("127.0.0.1", 1)
            await node.until(lambda: bool(node.lost))
            assert "read only replica" in node.lost[0]
            redis.replicaof("NO", "ONE")
        await node.until(lambda: node.restored == 1)


@pytest.mark.parametrize("what", ["signal", "publication without history"])
async def test_what_cannot_be_looked_up_is_not_sent_again(setting: RedisSetting, what: str) -> None:
    async with setting.node() as near, proxy_to(setting.port) as proxy:
        await near.broker.subscribe("lobby", NO_HISTORY)
        async with setting.node_of(broker_at(setting.url(proxy.port))) as far:
            proxy.hold_answers()
            sending = asyncio.create_task(
                far.broker.signal(Join("lobby", ALICE))
                if what == "signal"
                else far.broker.publish("lobby", Draft("a"), NO_HISTORY)
            )
            await near.until(lambda: len(near.events) == 1)
            proxy.cut()
            proxy.forward()
            with pytest.raises(BrokerError, match="may have happened"):
                await sending
            await far.until(lambda: far.restored == 1)
            await far.broker.publish("lobby", Draft("end"), NO_HISTORY)
            await near.until_data("end")
        assert len(near.events) == 2


# Strangers


async def test_invented_nodes_and_clients(setting: RedisSetting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby")
        await table(node).enter("lobby", ALICE)
        with setting.server.client() as stranger:
            stranger.hset(
                f"{setting.prefix}:present:lobby", "c9", 'ghost\nL{"client":{"id":"c9"}}\n'
            )
            stranger.sadd(f"{setting.prefix}:node:invented", "lobby\nc1", "lobby\nc9", "lobby")
            stranger.zadd(f"{setting.prefix}:nodes", {"invented": 1})

            async def is_buried() -> bool:
                return not stranger.exists(f"{setting.prefix}:node:invented")

            await until(is_buried)
        assert await table(node).present("lobby") == [ALICE]
        assert node.events == [Join("lobby", ALICE)]


async def test_keys_of_another_kind_cost_their_room_alone(setting: RedisSetting) -> None:
    setting.heartbeat = 5.0  # nothing is to be lost here, however busy the machine
    async with setting.node() as node:
        await node.subscribe("lobby")
        await node.broker.publish("history", Draft("a"), WINDOW)
        with setting.server.client() as stranger:
            for kind in ("room", "history", "present"):
                stranger.set(f"{setting.prefix}:{kind}:{kind}", "rubbish")
        broker = table(node)
        for room in ("room", "history"):
            with pytest.raises(BrokerError, match="WRONGTYPE"):
                await broker.publish(room, Draft("a"), WINDOW)
            with pytest.raises(BrokerError, match="WRONGTYPE"):
                await broker.history(room, WINDOW)
        for asked in (broker.enter("present", ALICE), broker.exit("present", ALICE)):
            with pytest.raises(BrokerError, match="WRONGTYPE"):
                await asked
        with pytest.raises(BrokerError, match="WRONGTYPE"):
            await broker.present("present")
        await broker.enter("lobby", ALICE)
        await broker.publish("lobby", Draft("b"), WINDOW)
        await node.until_data("b")
        assert (node.lost, await broker.present("lobby")) == ([], [ALICE])
    with setting.server.client() as stranger:
        assert not stranger.exists(f"{setting.prefix}:present:lobby")


async def test_the_tables_of_nodes_are_made_again(setting: RedisSetting) -> None:
    async with setting.node() as node:
        with setting.server.client() as stranger:
            for key in ("nodes", f"node:{node.id}"):
                stranger.delete(f"{setting.prefix}:{key}")
                stranger.set(f"{setting.prefix}:{key}", "rubbish")
        await node.until(lambda: node.restored == 1)  # it was not known to live any more
        await table(node).enter("lobby", ALICE)
        assert await table(node).present("lobby") == [ALICE]
    with setting.server.client() as stranger:
        assert stranger.keys() == []


@pytest.mark.parametrize(
    "offset", ["", "x", "-1", "1.5", "inf", "nan", "9" * 30], ids=lambda offset: offset[:5]
)
async def test_a_position_that_makes_no_sense_begins_an_epoch(
    setting: RedisSetting, offset: str
) -> None:
    async with setting.node() as node:
        before = await node.subscribe("lobby")
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        with setting.server.client() as stranger:
            stranger.hset(f"{setting.prefix}:room:lobby", "offset", offset)
        position = await node.broker.publish("lobby", Draft("b"), WINDOW)
        assert position is not None
        assert (position.offset, position.epoch != before.epoch) == (1, True)
        history = await node.broker.history("lobby", WINDOW, before)
        assert ([p.data for p in history.publications], history.is_whole) == (["b"], False)
        assert history.position == Position(1, position.epoch)


async def test_permissions_that_are_missing(setting: RedisSetting) -> None:
    with setting.server.client() as redis:
        redis.execute_command("ACL", "SETUSER", "alice", "on", ">s3cret", "+@all", "~*", "-evalsha")
    broker = broker_at(setting.url_elsewhere(setting.port))
    with pytest.raises(BrokerError, match="NOPERM") as refused:
        await broker.open(RecordingNode(broker))
    assert "alice" not in str(refused.value)


async def test_a_user_with_rights_to_the_prefix_alone(setting: RedisSetting) -> None:
    """The rule that docs/hub-brokers.md names is enough."""
    with setting.server.client() as redis:
        redis.execute_command(
            "ACL", "SETUSER", "alice", "on", ">s3cret", "~longwire:*", "&longwire:*",
            "+@connection", "+@scripting", "+@read", "+@write", "+@pubsub", "+time", "+type",
        )  # fmt: skip
    async with setting.node_of(broker_at(setting.url_elsewhere(setting.port))) as node:
        await node.subscribe("lobby")
        await node.broker.publish("lobby", Draft("a"), WINDOW)
        await table(node).enter("lobby", ALICE)
        await node.until(lambda: len(node.events) == 2)
        assert await table(node).present("lobby") == [ALICE]


async def test_asking_before_open_and_after_close(setting: RedisSetting) -> None:
    broker = broker_at(setting.url())
    with pytest.raises(BrokerError, match="not open"):
        await broker.publish("lobby", Draft("a"), WINDOW)
    node = RecordingNode(broker)
    await broker.open(node)
    await broker.close()
    await broker.close()
    with pytest.raises(BrokerError, match="not open"):
        await broker.publish("lobby", Draft("a"), WINDOW)
