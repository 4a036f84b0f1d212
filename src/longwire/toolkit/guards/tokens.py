"""Who may connect: a token from the request, verified, and watched as long as the socket is open.

no token             401      verify() is undecided (it raised)    503
verify() says None   403      the token expires, or is revoked     close 1008, or `close_code`
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar, overload

from starlette.requests import HTTPConnection

from longwire.toolkit.guards.expiry import watch
from longwire.toolkit.guards.refusal import POLICY_VIOLATION, logger, refuse
from longwire.toolkit.guards.sources import Source, from_header

T = TypeVar("T")

VERIFY_TIMEOUT = 10.0
"""Seconds an async verifier may take: a backend that hangs has not decided either."""

UNAUTHORIZED = {"WWW-Authenticate": "Bearer"}  # RFC 9110 section 11.6.1: a 401 names a way in


class Token(Generic[T]):
    """Lets in who has a token that `verify` knows; returns what it stands for, kept as `user`.

    `verify(token)` returns that, or None (or False) for a token that is no good; it may be async,
    and take 10 s. If it raises, nobody knows whether the token is good, and the client is refused
    with 503.
    `sources` are asked in order; the first token found is the one.
    `expires(user)` returns the time, as time.time() has it, at which the socket is closed.
    `recheck` verifies again every so many seconds: a revoked token closes the socket.
    """

    @overload
    def __init__(
        self,
        verify: Callable[[str], Awaitable[T | None]],
        *sources: Source,
        expires: Callable[[T], float | None] | None = None,
        recheck: float | None = None,
        close_code: int | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        verify: Callable[[str], T | None],
        *sources: Source,
        expires: Callable[[T], float | None] | None = None,
        recheck: float | None = None,
        close_code: int | None = None,
    ) -> None: ...

    def __init__(
        self,
        verify: Callable[[str], Any],
        *sources: Source,
        expires: Callable[[T], float | None] | None = None,
        recheck: float | None = None,
        close_code: int | None = None,
    ) -> None:
        self._verify = verify
        self._sources = sources or (from_header(),)
        self._expires = expires
        self._recheck = recheck
        self._close_code = close_code

    async def __call__(self, connection: HTTPConnection) -> T:
        """Return what the token stands for; refuse with 401, 403 or 503 else."""
        self.hide(connection)
        token = await self._find(connection)
        if token is None:
            await self._refuse(connection, 401, "a token is needed", UNAUTHORIZED)
        try:
            user: T | None = await self._ask(token)
        except Exception:
            logger.exception("the token's verifier failed: refusing the connection")
            await self._refuse(connection, 503, "tokens cannot be verified now")
        if not _is_known(user):
            await self._refuse(connection, 403, "the token is not valid")
        assert user is not None
        deadline = self._expires(user) if self._expires is not None else None
        if deadline is not None and deadline <= time.time():
            await self._refuse(connection, 401, "the token has expired", UNAUTHORIZED)
        connection.scope["user"] = user
        if deadline is not None or self._recheck is not None:
            watch(
                connection,
                self._close_code or POLICY_VIOLATION,
                deadline=deadline,
                recheck=self._recheck,
                is_good=partial(self._is_still_good, token),
            )
        return user

    def hide(self, connection: HTTPConnection) -> None:
        """Take the token out of what is logged: for when somebody else may answer before us."""
        for source in self._sources:
            hide = getattr(source, "hide", None)
            if hide is not None:
                hide(connection)

    async def _find(self, connection: HTTPConnection) -> Any:
        for source in self._sources:
            token = await source(connection)
            if token is not None:
                return token
        return None

    async def _ask(self, token: str) -> Any:
        answer = self._verify(token)
        if inspect.isawaitable(answer):
            async with asyncio.timeout(VERIFY_TIMEOUT):
                return await answer
        return answer

    async def _is_still_good(self, token: str) -> bool:
        try:
            return _is_known(await self._ask(token))
        except Exception:
            logger.exception("the token's verifier failed: closing the connection")
            return False

    async def _refuse(
        self, connection: Any, status: int, reason: str, headers: dict[str, str] | None = None
    ) -> NoReturn:
        await refuse(connection, status, reason, close_code=self._close_code, headers=headers)


def _is_known(user: object) -> bool:
    """Return whether a verifier has said yes: False is what one that only checks says for no."""
    return user is not None and user is not False


def one_of(**tokens: str) -> Callable[[str], str | None]:
    """Return a verifier for fixed tokens, `one_of(alice="...", bob="...")`: it tells the name.

    Compares in constant time, with every token: how long it takes tells nothing of them.
    """

    def verify(token: str) -> str | None:
        found = None
        for name, known in tokens.items():
            if hmac.compare_digest(token.encode(), known.encode()):
                found = name
        return found

    return verify
