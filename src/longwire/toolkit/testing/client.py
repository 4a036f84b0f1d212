"""The test clients: starlette's and httpx2's for HTTP, our own sessions for WebSockets.

`TestClient(app)` is in process; `TestClient("http://127.0.0.1:8000")` speaks to a live server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
from starlette.testclient import TestClient as StarletteTestClient

from longwire.asgi import ASGIApp
from longwire.toolkit.testing.conversation import Conversation, ReceiveTimeout
from longwire.toolkit.testing.lifespan import lifespan
from longwire.toolkit.testing.live import LiveConversation
from longwire.toolkit.testing.loop import Loop, running_loop
from longwire.toolkit.testing.memory import MemoryConversation
from longwire.toolkit.testing.scope import (
    Params,
    handshake_headers,
    handshake_url,
    websocket_scope,
)
from longwire.toolkit.testing.session import AsyncWebSocketSession, WebSocketSession

TIMEOUT = 5.0
"""Seconds for every wait unless the test says otherwise."""

BASE_URL = "http://testserver"


class _Connector:
    """Makes the sessions of one client; `app` None is a live server."""

    def __init__(
        self, app: ASGIApp | None, root_path: str, raise_app_exceptions: bool, timeout: float
    ) -> None:
        self._app = app
        self._root_path = root_path
        self._raises = raise_app_exceptions
        self._timeout = timeout
        self.state: Mapping[str, Any] = {}

    def session(
        self,
        client: httpx2.Client | httpx2.AsyncClient,
        url: str,
        subprotocols: Sequence[str] | None,
        headers: Mapping[str, str] | None,
        cookies: Mapping[str, str] | None,
        params: Params | None,
        timeout: float | None,
    ) -> AsyncWebSocketSession:
        """Return a session; what is None is left to the client's own."""
        target = handshake_url(client.base_url, url, client.params.merge(params))
        offered = subprotocols or ()
        merged = {
            name: value
            for name, value in {**client.headers, **(headers or {})}.items()
            if name.lower() not in ("connection", "accept-encoding")
        }
        jar = {**dict(client.cookies), **(cookies or {})}
        fields = handshake_headers(target, merged, jar, offered)

        async def new_conversation() -> Conversation:
            scope = websocket_scope(
                target, fields, offered, root_path=self._root_path, state=self.state
            )
            if self._app is None:
                return LiveConversation(target, scope)
            return MemoryConversation(self._app, scope, raise_app_exceptions=self._raises)

        return AsyncWebSocketSession(
            new_conversation, self._timeout if timeout is None else timeout
        )


class TestClient(StarletteTestClient):
    """A starlette TestClient whose WebSockets cannot hang, and end as they would on the wire.

    `timeout` is in seconds, for every wait. As a context manager it runs the lifespan.
    """

    __test__ = False  # not a test case

    def __init__(
        self,
        app: ASGIApp | str,
        base_url: str = BASE_URL,
        raise_server_exceptions: bool = True,
        root_path: str = "",
        *,
        timeout: float = TIMEOUT,
        **options: Any,
    ) -> None:
        self._is_live = isinstance(app, str)
        self._timeout_seconds = timeout
        self._loop: Loop | None = None
        if isinstance(app, str):
            httpx2.Client.__init__(self, base_url=app, timeout=timeout, **options)
            self._connector = _Connector(None, root_path, raise_server_exceptions, timeout)
            return
        super().__init__(app, base_url, raise_server_exceptions, root_path, **options)
        self._connector = _Connector(self.app, root_path, raise_server_exceptions, timeout)

    @contextmanager
    def _running_loop(self) -> Iterator[Loop]:
        if self._loop is not None:
            yield self._loop
            return
        options: Any = {} if self._is_live else self.async_backend
        with running_loop(self._timeout_seconds, **options) as loop:
            yield loop

    def __enter__(self) -> Self:
        if self._is_live:
            httpx2.Client.__enter__(self)
            return self
        with ExitStack() as stack:
            self._loop = stack.enter_context(self._running_loop())
            self.portal = self._loop.portal
            stack.callback(self._forget_loop)
            self._start_up(self._loop, stack)
            stack.callback(self._transport.close)
            self.exit_stack = stack.pop_all()
        self._connector.state = self.app_state
        return self

    def _start_up(self, loop: Loop, stack: ExitStack) -> None:
        """Run the start-up, not as starlette does: that knows no application without a lifespan,
        and waits for one that hangs.
        """
        timeout = self._timeout_seconds
        run = lifespan(self.app, timeout)

        def shut_down(kind: Any, error: Any, trace: Any) -> None:
            try:
                loop.call(run.__aexit__, kind, error, trace, timeout=timeout)
            except ReceiveTimeout:
                if error is None:  # what the test itself raised tells more
                    raise

        self.app_state.update(loop.call(run.__aenter__, timeout=timeout))
        stack.push(shut_down)

    def _forget_loop(self) -> None:
        self._loop = self.portal = None

    def __exit__(self, *arguments: Any) -> None:
        if self._is_live:
            httpx2.Client.__exit__(self, *arguments)
        else:
            self.exit_stack.__exit__(*arguments)

    def websocket_connect(  # type: ignore[override]
        self,
        url: str,
        subprotocols: Sequence[str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        params: Params | None = None,
        timeout: float | None = None,
    ) -> WebSocketSession:
        """Return a session for a path or a ws URL; entering it shakes hands.

        `params` are added to the URL's query, behind those of the client, as for HTTP. Raises
        Denied when the handshake is refused, and what the application raised.
        """
        session = self._connector.session(
            self, url, subprotocols, headers, cookies, params, timeout
        )
        return WebSocketSession(session, self._running_loop)


class AsyncTestClient(httpx2.AsyncClient):
    """The same for tests that are coroutines: an httpx2 client, in the application's own loop."""

    def __init__(
        self,
        app: ASGIApp | str,
        base_url: str = BASE_URL,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        *,
        timeout: float = TIMEOUT,
        **options: Any,
    ) -> None:
        self._timeout_seconds = timeout
        self._app = None if isinstance(app, str) else app
        self._stack = AsyncExitStack()
        if isinstance(app, str):
            base_url = app
        else:
            options["transport"] = httpx2.ASGITransport(
                app=app,
                raise_app_exceptions=raise_app_exceptions,
                root_path=root_path,
            )
        super().__init__(base_url=base_url, timeout=timeout, **options)
        self._connector = _Connector(self._app, root_path, raise_app_exceptions, timeout)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            if self._app is not None:
                self._connector.state = await self._stack.enter_async_context(
                    lifespan(self._app, self._timeout_seconds)
                )
        except BaseException:
            await super().__aexit__()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            await self._stack.__aexit__(kind, error, trace)
        finally:
            await super().__aexit__(kind, error, trace)

    def websocket_connect(
        self,
        url: str,
        subprotocols: Sequence[str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        params: Params | None = None,
        timeout: float | None = None,
    ) -> AsyncWebSocketSession:
        """Return a session for a path or a ws URL; entering it shakes hands.

        `params` are added to the URL's query, behind those of the client, as for HTTP. Raises
        Denied when the handshake is refused, and what the application raised.
        """
        return self._connector.session(self, url, subprotocols, headers, cookies, params, timeout)
