"""The metrics, read as Prometheus reads them: over a socket, by its own parser."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.server import metrics
from longwire.server.counters import code_label, status_label
from tests import samples
from tests.applications import echo
from tests.conftest import Serve, Served
from tests.samples import Samples, named
from tests.wire import PING, PONG, Response, close, connect, frame, request, text, websocket

pytestmark = pytest.mark.anyio

METRICS = "127.0.0.1:0"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


@dataclass(frozen=True)
class Endpoint:
    """Where a server has its metrics."""

    host: str
    port: int


def endpoint(server: Served) -> Endpoint:
    (url,) = server.server.metrics_addresses
    found = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)/metrics", url)
    assert found is not None, url
    return Endpoint(found[1], int(found[2]))


async def ask(server: Served, path: str = "/metrics", method: str = "GET") -> Response:
    async with connect(endpoint(server)) as client:
        await client.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return await client.response()


async def scrape(server: Served) -> Samples:
    response = await ask(server)
    assert response.status == 200
    return samples.read(response.body.decode())


async def reach(server: Served, **expected: float) -> None:
    """Return once the samples, by the names that `named` gives them, have these values."""
    until = time.monotonic() + 15
    while True:
        seen = await scrape(server)
        found = {key: seen.get(named(key)) for key in expected}
        if found == expected:
            return
        assert time.monotonic() < until, found
        await asyncio.sleep(0.01)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    path = scope["path"]
    if scope["type"] == "http":
        status = int(path.strip("/") or 200)
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})
        return
    await receive()
    if path == "/forbid":
        await send({"type": "websocket.close"})
    elif path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 418})
        await send({"type": "websocket.http.response.body"})
    elif path == "/half":
        await send({"type": "websocket.http.response.start", "status": 401})
        raise ValueError("before the answer")
    elif path == "/raise":
        raise ValueError
    elif path == "/wait":
        await receive()
    elif path == "/close":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001})
    else:
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})


# ---- connections and their traffic ----------------------------------------------------------


async def test_a_websocket_from_its_opening_to_its_end(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with websocket(server) as client:
            message = text("hello")
            await client.send(message * 3)
            for _ in range(3):
                assert await client.message() == "hello"
            open_figures = {
                "connections__kind_websocket": 1.0,
                "websockets_opened_total": 1.0,
                "websocket_messages_total__direction_received": 3.0,
                "websocket_messages_total__direction_sent": 3.0,
                "websocket_bytes_total__direction_received": 3.0 * len(message),
                "websocket_bytes_total__direction_sent": 3.0 * 7,
            }
            await reach(server, connections__kind_http=0, **open_figures)
            await client.send(close(1001))
            await client.ended()
        await reach(
            server,
            connections__kind_websocket=0,
            websockets_opened_total=1,
            websocket_messages_total__direction_received=3,
            websocket_messages_total__direction_sent=3,
            websocket_bytes_total__direction_received=3 * len(message) + len(close(1001)),
            websocket_bytes_total__direction_sent=3 * 7 + 4,
            websocket_closes_total__code_1001__by_client=1,
        )


async def test_a_connection_is_http_until_its_handshake_is_answered(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server, connect(server) as client:
        await reach(server, connections__kind_http=1, connections__kind_websocket=0)
        await client.send(request("/wait"))
        await reach(server, connections__kind_http=1, connections__kind_websocket=0)


@pytest.mark.parametrize(
    ("path", "sent", "sample"),
    [
        ("/", close(1000), "code_1000__by_client"),
        ("/", close(None), "code_1005__by_client"),
        ("/", close(3003), "code_3003__by_client"),
        ("/", close(3999), "code_3xxx__by_client"),
        ("/", frame(15), "code_1002__by_server"),
        ("/close", close(4001), "code_4xxx__by_application"),
    ],
)
async def test_ends_by_code_and_by_who_closed(
    serve: Serve, path: str, sent: bytes, sample: str
) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with websocket(server, path) as client:
            await client.send(sent)
            await client.ended()
        await reach(server, **{"websocket_closes_total__" + sample: 1})


async def test_a_loss_is_nobodys_1006(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with websocket(server) as client:
            client.reset()
        await reach(server, websocket_closes_total__code_1006__by_nobody=1)


async def test_bytes_that_wait_for_a_client_that_does_not_read(serve: Serve) -> None:
    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(64):
            await send({"type": "websocket.send", "bytes": bytes(1_000_000)})

    async with serve(flood, metrics=METRICS, ws_close_timeout=0.1) as server:
        async with websocket(server, receive_buffer=4096), websocket(server, receive_buffer=4096):
            until = time.monotonic() + 15
            waiting = most = 0.0
            while not most < waiting:
                assert time.monotonic() < until
                seen = await scrape(server)
                waiting = seen["websocket_send_buffer_bytes"]
                most = seen["websocket_send_buffer_max_bytes"]
            assert waiting / 2 <= most
        await reach(server, websocket_send_buffer_bytes=0, websocket_send_buffer_max_bytes=0)


async def test_no_counter_goes_back_while_connections_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice of one connection lets all others end in the middle of a scrape."""
    monkeypatch.setattr(metrics, "SLICE", 1)

    async def talk(server: Served) -> None:
        async with websocket(server) as client:
            await client.send(text("x") * 5)
            for _ in range(5):
                await client.message()
            await client.send(close())
            await client.ended()

    async with serve(app, metrics=METRICS) as server:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(websocket(server))
            talks = [asyncio.create_task(talk(server)) for _ in range(50)]
            last: Samples = {}
            while not all(task.done() for task in talks):
                seen = await scrape(server)
                for key, value in seen.items():
                    if "_total" in key:
                        assert value >= last.get(key, 0), key
                last = seen
            await asyncio.gather(*talks)
        await reach(
            server,
            websockets_opened_total=70,
            connections__kind_websocket=0,
            websocket_messages_total__direction_received=250,
            websocket_messages_total__direction_sent=250,
        )


# ---- handshakes that fail, requests ---------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "sample"),
    [
        (request(headers={"Sec-WebSocket-Version": "8"}), "cause_request__status_426"),
        (request("ftp://test/"), "cause_request__status_400"),
        (request("/forbid"), "cause_application__status_403"),
        (request("/deny"), "cause_application__status_418"),
        (request("/half"), "cause_error__status_500"),
        (request("/raise"), "cause_error__status_500"),
        (request("/wait"), "cause_timeout__status_503"),
    ],
)
async def test_handshakes_that_fail(serve: Serve, sent: bytes, sample: str) -> None:
    seconds = 0.1 if "timeout" in sample else 60
    async with serve(app, metrics=METRICS, ws_handshake_timeout=seconds) as server:
        async with connect(server) as client:
            await client.send(sent)
            await client.response()
        await reach(
            server,
            connections__kind_http=0,
            websockets_opened_total=0,
            **{"websocket_handshake_failures_total__" + sample: 1},
        )
        failures = [key for key in await scrape(server) if "handshake_failures" in key]
        assert len(failures) == 1
        await reach(server, http_requests_total__status_4xx=0, http_requests_total__status_5xx=0)


async def test_a_client_that_leaves_before_the_answer(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with connect(server) as client:
            await client.send(request("/wait"))
            await reach(server, connections__kind_http=1)
            client.reset()
        await reach(server, websocket_handshake_failures_total__cause_client__status_none=1)


async def test_one_connection_too_many(serve: Serve) -> None:
    async with serve(app, metrics=METRICS, limit_concurrency=1) as server:
        async with websocket(server), connect(server) as client:
            await client.send(request())
            assert (await client.response()).status == 503
            await reach(server, websocket_handshake_failures_total__cause_limit__status_503=1)


async def test_requests_by_class_of_status(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        for path in ("/200", "/204", "/302", "/404", "/500"):
            async with connect(server) as client:
                await client.send(GET.replace(b"/", path.encode(), 1))
                await client.response()
        async with connect(server) as client:
            await client.send(b"GET / HTTP/1.1\r\n\r\n")  # no Host: the application is not asked
            assert (await client.response()).status == 400
        await reach(
            server,
            http_requests_total__status_2xx=2,
            http_requests_total__status_3xx=1,
            http_requests_total__status_4xx=2,
            http_requests_total__status_5xx=1,
        )


# ---- pings ----------------------------------------------------------------------------------


async def test_round_trips_of_pings(serve: Serve) -> None:
    bucket = "websocket_ping_round_trip_seconds_bucket"
    async with serve(app, metrics=METRICS, ws_ping_interval=0.1) as server:
        async with websocket(server) as client:
            ping = await client.frame()
            assert ping.opcode == PING
            await asyncio.sleep(0.06)  # the round trip that is to be seen
            await client.send(frame(PONG, b"nobody asked") + frame(PONG, ping.payload))
            await reach(server, websocket_ping_round_trip_seconds_count=1)
            seen = await scrape(server)
            assert seen[bucket + ' le="0.05"'] == 0
            assert seen[bucket + ' le="+Inf"'] == 1
            assert 0.05 < seen["websocket_ping_round_trip_seconds_sum"] < 5


# ---- the drain ------------------------------------------------------------------------------


async def test_the_drain_can_be_watched_to_its_end(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with websocket(server) as one, websocket(server) as other:
            await reach(server, draining=0, drain_connections_left=0, drain_applications_left=0)
            ending = asyncio.create_task(server.server.finish())
            for client in (one, other):
                assert (await client.close_frame()).code == 1012
            await reach(server, draining=1, drain_connections_left=2)
            await one.send(close(1012))
            await reach(server, draining=1, drain_connections_left=1)
            await other.send(close(1012))
            await ending
        with pytest.raises(ConnectionRefusedError):
            await ask(server)


async def test_a_handshake_that_the_drain_refuses(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server, connect(server) as client:
        await client.send(request("/wait"))
        await reach(server, connections__kind_http=1)
        server.state.drain_notice.set()
        next(iter(server.state.connections)).shutdown()
        assert (await client.response()).status == 503
        await reach(server, websocket_handshake_failures_total__cause_drain__status_503=1)


async def test_a_scraper_that_keeps_its_connection_does_not_hold_the_end_up(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        async with connect(endpoint(server)) as scraper, connect(endpoint(server)) as half:
            await scraper.send(GET.replace(b"/", b"/metrics", 1))
            assert (await scraper.response()).status == 200
            await half.send(b"GET /metr")
            await asyncio.wait_for(server.server.finish(), 4)
            assert await scraper.eof() == b""


# ---- the address ----------------------------------------------------------------------------


async def test_only_get_metrics(serve: Serve) -> None:
    async with serve(app, metrics=METRICS) as server:
        assert (await ask(server)).headers[
            "content-type"
        ] == "text/plain; version=0.0.4; charset=utf-8"
        assert (await ask(server, "/")).status == 404
        refused = await ask(server, method="DELETE")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
        async with connect(endpoint(server)) as client:
            await client.send(request("/metrics"))  # no WebSocket: served as the GET it also is
            assert (await client.response()).status == 200


async def test_scrapes_are_not_requests_of_the_application(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "longwire")
    async with serve(app, metrics=METRICS, limit_max_requests=2, root_path="/api") as server:
        for _ in range(3):
            seen = await scrape(server)
        assert seen['http_requests_total status="2xx"'] == 0
        assert seen['connections kind="http"'] == 0
        assert server.state.total_requests == 0
    assert "/metrics" not in caplog.text


async def test_without_the_option_there_is_no_listener(serve: Serve) -> None:
    async with serve(echo) as server:
        assert server.server.metrics_addresses == []


# ---- labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "label"),
    [(1000, "1000"), (1006, "1006"), (3008, "3008"), (3009, "3xxx"), (4999, "4xxx")],
)
def test_close_codes_as_labels(code: int, label: str) -> None:
    assert code_label(code) == label


@pytest.mark.parametrize(
    ("status", "label"), [(0, "none"), (403, "403"), (499, "4xx"), (599, "5xx")]
)
def test_statuses_as_labels(status: int, label: str) -> None:
    assert status_label(status) == label


async def registering(scope: Scope, receive: Receive, send: Send) -> None:
    """Register figures, faulty ones among them, once more with each connection."""
    register = scope["extensions"]["longwire.metrics"]["register"]
    register(own_figures)
    register(failing_figures)
    register(misnamed_figures)
    await echo(scope, receive, send)


def own_figures() -> list[object]:
    return [
        ("counter", "app_orders", "Orders.", [({"kind": "new"}, 3), ({"kind": "old"}, 1.5)]),
        ("gauge", "app_carts", "Carts.", [({}, 7)]),
    ]


def failing_figures() -> list[object]:
    raise RuntimeError("no figures today")


def misnamed_figures() -> list[object]:
    return [("gauge", 'app"} 1\nother', "Not a name.", [({}, 1)])]


async def test_the_application_has_figures_of_its_own(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(registering, metrics=METRICS) as server:
        for _ in range(2):
            async with websocket(server) as client:
                await client.send(text("hello") + close(1000))
                assert await client.message() == "hello"
        body = (await ask(server)).body.decode()
    assert 'app_orders_total{kind="new"} 3.0' in body
    assert 'app_orders_total{kind="old"} 1.5' in body
    assert "app_carts 7.0" in body
    assert "other" not in body
    assert "longwire_websockets_opened_total 2.0" in body
    assert "no figures today" in caplog.text


async def test_the_application_reads_the_figures(serve: Serve) -> None:
    figures: list[tuple[str, dict[str, str], float]] = []

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        metrics = scope["extensions"]["longwire.metrics"]
        metrics["register"](own_figures)
        figures.extend(await metrics["read"]())
        await echo(scope, receive, send)

    async with serve(reading) as server, websocket(server) as client:
        await client.send(text("hello"))
        assert await client.message() == "hello"
    assert ("longwire_connections", {"kind": "http"}, 1) in figures
    assert ("app_orders_total", {"kind": "old"}, 1.5) in figures
    assert ("longwire_websockets_opened_total", {}, 0) in figures
