"""What an address says: where Redis is, and what is ours of its query string."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from redis.asyncio.connection import AbstractConnection, ConnectionPool

from longwire.errors import BrokerError
from longwire.hub.brokers import check_escaped, redacted

PREFIX = "longwire"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a RedisBroker; BrokerError for those that cannot work.

    `prefix` begins every key and channel. `heartbeat` and `timeout` are seconds: how often the
    nodes say that they live, and how long a command may take, a reconnection included.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    heartbeat: float = 5.0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        check_escaped(self.url)
        if not self.prefix.isprintable() or not self.prefix or " " in self.prefix:
            raise BrokerError(f"prefix: printable characters without blanks; got {self.prefix!r}")
        for name, seconds in (("heartbeat", self.heartbeat), ("timeout", self.timeout)):
            if not 0.01 <= seconds <= 3600:
                raise BrokerError(f"{name}: 0.01 to 3600 seconds; got {seconds}")

    @property
    def address(self) -> str:
        """The address for logs and errors."""
        return redacted(self.url)


def options_of(url: str) -> Options:
    """Return the options that an address names; BrokerError if one of ours makes no sense.

    Everything else in the query string is redis-py's, as in `?ssl_ca_certs=/etc/redis/ca.pem`.
    """
    ours: dict[str, str] = {}
    others = []
    for name, value in parse_qsl(_query_of(url), keep_blank_values=True):
        if name in ("prefix", "heartbeat", "timeout"):
            ours[name] = value
        else:
            others.append((name, value))
    seconds: dict[str, float] = {}
    for name in ("heartbeat", "timeout"):
        if name in ours:
            try:
                seconds[name] = float(ours[name])
            except ValueError:
                raise BrokerError(f"{name}: a number of seconds; got {ours[name]!r}") from None
    plain = url.partition("?")[0] + ("?" + urlencode(others) if others else "")
    return Options(plain, ours.get("prefix", PREFIX), **seconds)


def _query_of(url: str) -> str:
    return url.partition("#")[0].partition("?")[2]


class Connections:
    """Makes connections to an address; BrokerError for one that redis-py cannot make any for."""

    def __init__(self, options: Options) -> None:
        try:
            # RESP2: answers and messages are lists, with any server since Redis 6. No timeouts and
            # retries of redis-py's own: they would come on top of ours.
            self._pool = ConnectionPool.from_url(
                options.url, protocol=2, socket_connect_timeout=options.timeout, socket_timeout=None
            )
            self.database = int(self._pool.connection_kwargs.get("db", 0))
            self.make()
        except TypeError:  # it quotes the option, which may be a part of the password
            raise BrokerError(
                f"{options.address}: one of its options is none of redis-py's"
            ) from None
        except ValueError as error:
            # Others quote what they took for a port: it may be a part of the password.
            why = f": {error}" if str(error).startswith("Invalid value for") else ""
            raise BrokerError(f"{options.address} is no address of Redis{why}") from None
        for name in ("decode_responses", "socket_timeout", "protocol"):
            if name + "=" in _query_of(options.url):
                raise BrokerError(f"{options.address}: {name} is not for a broker")

    def make(self) -> AbstractConnection:
        """Return one more connection, not yet connected, that no pool knows."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection
