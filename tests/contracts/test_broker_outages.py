"""What every broker with a server does while that, or a node, is away: `longwire.hub.broker`.

Each test runs in each of the REMOTES in brokers.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable

import pytest

from longwire.errors import BrokerError
from longwire.hub.brokers import broker_at
from longwire.hub.events import Client, Draft, Join, Leave, Publication
from tests.contracts.proxy import Proxy, proxy_to
from tests.contracts.remote import Remote
from tests.contracts.settings import ALICE, BOB, NO_HISTORY, WINDOW, RecordingNode, presence, until
from tests.process import ROOT

pytestmark = pytest.mark.anyio

MARGIN = 1.5
"""Seconds that a busy machine may take beyond what a broker promises: no second timeout."""


@contextlib.asynccontextmanager
async def node_behind(remote: Remote, proxy: Proxy) -> AsyncIterator[RecordingNode]:
    """Open a node that reaches the server by way of the proxy."""
    async with remote.node_of(broker_at(remote.url(proxy.port))) as node:
        try:
            yield node
        finally:
            proxy.forward()


# The server goes


async def test_a_killed_server_is_come_back_to(remote: Remote) -> None:
    async with remote.node() as near, remote.node() as far:
        for node in (near, far):
            await node.subscribe("lobby")
        await near.broker.publish("lobby", Draft("before"), WINDOW)
        await far.until_data("before")
        await remote.kill()
        for node in (near, far):
            await node.until(lambda node=node: bool(node.lost))  # type: ignore[misc]
        assert (near.restored, far.restored) == (0, 0)
        await remote.start()
        for node in (near, far):
            await node.until(lambda node=node: node.restored == 1)  # type: ignore[misc]
        await near.broker.publish("lobby", Draft("after"), WINDOW)
        for node in (near, far):
            await node.until_data("after")
            assert node.data == ["before", "after"]
            assert len(node.lost) == 1
            assert "s3cret" not in node.lost[0]


async def test_it_comes_back_every_time(remote: Remote) -> None:
    async with remote.node() as node:
        await node.subscribe("lobby")
        for i in range(3):
            await remote.kill()
            await node.until(lambda i=i: len(node.lost) == i + 1)  # type: ignore[misc]
            await remote.start()
            await node.until(lambda i=i: node.restored == i + 1)  # type: ignore[misc]
            await node.broker.publish("lobby", Draft(str(i)), WINDOW)
            await node.until_data(str(i))
        assert node.data == ["0", "1", "2"]


async def test_rooms_left_during_an_outage_stay_left(remote: Remote) -> None:
    async with remote.node() as node:
        await node.subscribe("lobby")
        await node.subscribe("attic")
        await remote.kill()
        await node.until(lambda: bool(node.lost))
        with contextlib.suppress(BrokerError):
            await node.broker.unsubscribe("attic")
        await remote.start()
        await node.until(lambda: node.restored == 1)
        await node.broker.publish("attic", Draft("a"), WINDOW)
        await node.broker.publish("lobby", Draft("b"), WINDOW)
        await node.until_data("b")
        assert node.data == ["b"]


async def test_everything_fails_in_time_while_the_server_is_away(remote: Remote) -> None:
    async with remote.node() as node:
        start = await node.subscribe("lobby")
        await remote.kill()
        await node.until(lambda: bool(node.lost))
        broker, table = node.broker, presence(node)
        began = time.monotonic()
        results = await asyncio.gather(
            broker.publish("lobby", Draft("a"), WINDOW),
            broker.publish("lobby", Draft("a"), NO_HISTORY),
            broker.signal(Join("lobby", ALICE)),
            broker.subscribe("attic", WINDOW),
            broker.history("lobby", WINDOW, start),
            table.enter("lobby", ALICE),
            table.exit("lobby", ALICE),
            table.present("lobby"),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [BrokerError] * 8
        assert time.monotonic() - began < remote.timeout + MARGIN
        await remote.start()
        await node.until(lambda: node.restored == 1)
        # What raised because nobody was there is not made up for later, and attic is not entered.
        for room in ("attic", "lobby"):
            await broker.publish(room, Draft("end"), WINDOW)
        await node.until_data("end")
        assert [event.room for event in node.events] == ["lobby"]
        assert node.data == ["end"]


async def test_publishing_through_an_outage_happens_at_most_once(remote: Remote) -> None:
    """What returned is delivered or in the history, what raised perhaps, nothing is there twice."""
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        await near.subscribe("lobby")
        async with node_behind(remote, proxy) as far:
            done: list[str] = []
            tried: list[str] = []

            async def talk() -> None:
                while far.restored < 3:
                    name = str(len(tried))
                    tried.append(name)
                    with contextlib.suppress(BrokerError):
                        await far.broker.publish("lobby", Draft(name), WINDOW)
                        done.append(name)
                    await asyncio.sleep(0.001)

            talking = asyncio.create_task(talk())
            for i in range(3):
                await near.until(lambda: len(near.data) > 0)
                proxy.cut()
                await far.until(lambda i=i: far.restored == i + 1)  # type: ignore[misc]
            await talking
            await far.broker.publish("lobby", Draft("end"), WINDOW)
            await near.until_data("end")
        counts = {name: near.data.count(name) for name in tried}
        assert max(counts.values()) == 1
        assert [name for name in done if counts[name] != 1] == []


async def test_a_slow_answer_is_no_second_publication(remote: Remote) -> None:
    """The answer is held up until the publisher has given its connection up and tries again."""
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        await near.subscribe("lobby")
        async with node_behind(remote, proxy) as far:
            proxy.hold_answers()
            publishing = asyncio.create_task(far.broker.publish("lobby", Draft("a"), WINDOW))
            await near.until_data("a")
            proxy.cut()
            proxy.forward()
            with contextlib.suppress(BrokerError):
                position = await publishing
                assert position == near.publications[0].position
            await far.until(lambda: far.restored == 1)
            await far.broker.publish("lobby", Draft("end"), WINDOW)
            await near.until_data("end")
        assert near.data == ["a", "end"]


# The network goes


async def test_a_silent_network_is_noticed_and_come_back_to(remote: Remote) -> None:
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        async with node_behind(remote, proxy) as far:
            since = await far.subscribe("lobby")
            await near.broker.publish("lobby", Draft("a"), WINDOW)
            await far.until_data("a")
            proxy.drop()
            began = time.monotonic()
            await far.until(lambda: bool(far.lost))
            assert time.monotonic() - began < 2 * remote.heartbeat + MARGIN
            await near.broker.publish("lobby", Draft("b"), WINDOW)
            proxy.forward()
            await far.until(lambda: far.restored == 1)
            await near.broker.publish("lobby", Draft("c"), WINDOW)
            await far.until_data("c")
            # What was delivered and what the history has are the whole, each once by its offset.
            history = await far.broker.history("lobby", WINDOW, since)
            assert history.is_whole
            assert [p.data for p in history.publications] == ["a", "b", "c"]
            by_offset = {offset(p): p.data for p in [*far.publications, *history.publications]}
            assert [by_offset[key] for key in sorted(by_offset)] == ["a", "b", "c"]
            assert len(far.lost) == 1


def offset(publication: Publication) -> int:
    assert publication.position is not None
    return publication.position.offset


async def test_a_publication_into_a_silent_network_fails_in_time(remote: Remote) -> None:
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        await near.subscribe("lobby")
        async with node_behind(remote, proxy) as far:
            proxy.drop()
            began = time.monotonic()
            with pytest.raises(BrokerError):
                await far.broker.publish("lobby", Draft("a"), WINDOW)
            assert time.monotonic() - began < remote.timeout + MARGIN
            proxy.forward()
            await far.until(lambda: far.restored == 1)
            await far.broker.publish("lobby", Draft("b"), WINDOW)
            await near.until_data("b")
        # What raised may have happened, once, and late: what was held up arrives in the end.
        assert near.data.count("a") <= 1


async def test_who_is_cut_off_is_taken_for_dead_and_enters_again(remote: Remote) -> None:
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        here = presence(near)
        await near.subscribe("lobby")
        async with node_behind(remote, proxy) as far:
            there = presence(far)
            await there.enter("lobby", ALICE)
            await near.until(lambda: near.events == [Join("lobby", ALICE)])
            proxy.drop()
            await near.until(lambda: near.events[1:] == [Leave("lobby", ALICE)])
            assert await here.present("lobby") == []
            proxy.forward()
            await far.until(lambda: far.restored == 1)
            await there.enter("lobby", ALICE)
            assert await here.present("lobby") == [ALICE]
            await near.until(lambda: near.events[2:] == [Join("lobby", ALICE)])


async def test_an_exit_that_raised_can_be_said_again(remote: Remote) -> None:
    async with remote.node() as near, proxy_to(remote.port) as proxy:
        here = presence(near)
        await near.subscribe("lobby")
        async with node_behind(remote, proxy) as far:
            there = presence(far)
            await there.enter("lobby", ALICE)
            await there.enter("lobby", BOB)
            proxy.drop()
            with pytest.raises(BrokerError):
                await there.exit("lobby", ALICE)
            proxy.forward()
            await far.until(lambda: far.restored == 1)
            await there.enter("lobby", BOB)
            await there.exit("lobby", ALICE)
            assert await here.present("lobby") == [BOB]
            await near.until(lambda: Leave("lobby", ALICE) in near.events)
            assert near.events.count(Leave("lobby", ALICE)) == 1


# A node goes


@contextlib.asynccontextmanager
async def node_process(remote: Remote, *rooms: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a node with the clients c1 and c2 in the rooms."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contracts.node_process", remote.url(), *rooms,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"entered\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_clients_of_a_killed_node_leave_once(remote: Remote) -> None:
    async with remote.node() as near, remote.node() as far, remote.node() as third:
        here = presence(near)
        for node in (near, far, third):
            for room in ("lobby", "attic"):
                await node.subscribe(room)
        await presence(far).enter("lobby", Client("c3"))
        async with node_process(remote, "lobby", "attic") as process:
            assert len(await here.present("lobby")) == 3
            process.kill()
            killed = time.monotonic()

            def leaves(node: RecordingNode) -> Callable[[], bool]:
                return lambda: sum(isinstance(event, Leave) for event in node.events) == 4

            for node in (near, far, third):
                await node.until(leaves(node))
            assert time.monotonic() - killed < 3 * remote.heartbeat + MARGIN
        assert await here.present("lobby") == [Client("c3")]
        assert await here.present("attic") == []
        # One each: none comes behind these.
        for room in ("lobby", "attic"):
            await near.broker.publish(room, Draft("end"), WINDOW)
        for node in (near, far, third):
            await node.until(lambda node=node: node.data == ["end", "end"])  # type: ignore[misc]
            left = [e for e in node.events if isinstance(e, Leave)]
            assert {(e.room, e.client.id) for e in left} == {
                ("lobby", "c1"), ("lobby", "c2"), ("attic", "c1"), ("attic", "c2")
            }  # fmt: skip
            assert len(left) == 4


async def test_nobody_of_a_killed_node_is_left_when_no_other_saw_it(remote: Remote) -> None:
    async with node_process(remote, "lobby") as process:
        process.kill()
    async with remote.node() as node:

        async def is_empty() -> bool:
            return await presence(node).present("lobby") == []

        await until(is_empty)


async def test_a_node_that_stalls_enters_again(remote: Remote) -> None:
    """Its event loop does nothing until a node in another process has taken it for dead."""
    async with remote.node() as node:
        table = presence(node)
        await node.subscribe("lobby")
        await table.enter("lobby", ALICE)
        other = (sys.executable, "-m", "tests.contracts.absence_process", remote.url(), "lobby")
        subprocess.run(other, cwd=ROOT, check=True, timeout=25)  # noqa: ASYNC221
        await node.until(lambda: node.restored > 0)
        await table.enter("lobby", ALICE)
        assert await table.present("lobby") == [ALICE]
        await node.broker.publish("lobby", Draft("end"), WINDOW)
        await node.until_data("end")
        assert node.events[:-1] == [
            Join("lobby", ALICE), Leave("lobby", ALICE), Join("lobby", ALICE)
        ]  # fmt: skip


async def test_a_node_that_is_stopped_and_goes_on(remote: Remote) -> None:
    """As a virtual machine that is moved: the process is stopped until it has been taken out."""
    async with remote.node() as node, node_process(remote, "lobby") as process:
        await node.subscribe("lobby")
        process.send_signal(signal.SIGSTOP)
        try:
            await node.until(lambda: len(node.events) == 2)
            assert await presence(node).present("lobby") == []
        finally:
            process.send_signal(signal.SIGCONT)


# Nobody is there


async def test_an_address_where_nobody_listens(remote: Remote) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        await assert_refused(remote, nobody.getsockname()[1])


async def test_an_address_that_does_not_answer(remote: Remote) -> None:
    async with proxy_to(remote.port) as proxy:
        proxy.drop()
        await assert_refused(remote, proxy.port)


async def test_an_address_where_somebody_else_answers(remote: Remote) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        await assert_refused(remote, server.sockets[0].getsockname()[1])


async def test_credentials_that_are_refused(remote: Remote) -> None:
    await assert_refused(remote, remote.port)


async def assert_refused(remote: Remote, port: int) -> None:
    broker = broker_at(remote.url_elsewhere(port))
    began = time.monotonic()
    with pytest.raises(BrokerError) as refused:
        await broker.open(RecordingNode(broker))
    assert time.monotonic() - began < remote.timeout + MARGIN
    assert f"127.0.0.1:{port}" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "alice" not in str(refused.value)
    await broker.close()


# Strangers


async def test_rubbish_breaks_no_node(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    async with remote.node() as near, remote.node() as far:
        here = presence(near)
        start = await far.subscribe("lobby")
        await here.enter("lobby", ALICE)
        with caplog.at_level(logging.WARNING, "longwire.hub"):
            for i in range(3):
                await near.broker.publish("lobby", Draft(str(i)), WINDOW)
                await asyncio.to_thread(remote.scribble, "lobby")
            await near.broker.publish("lobby", Draft("end"), WINDOW)
            await far.until_data("end")
        ours = [data for data in far.data if data in ("0", "1", "2", "end")]
        assert ours == ["0", "1", "2", "end"]
        history = await far.broker.history("lobby", WINDOW, start)
        assert [p.data for p in history.publications] == ours
        assert history.is_whole
        assert await here.present("lobby") == [ALICE]
        await here.exit("lobby", ALICE)
        await far.until(lambda: Leave("lobby", ALICE) in far.events)
        assert (near.lost, far.lost) == ([], [])
        warnings = [r for r in caplog.records if r.name == "longwire.hub"]
        assert 0 < len(warnings) <= 4  # not one for each
