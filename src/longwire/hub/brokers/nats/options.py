"""What an address says: where the NATS servers are, who we are there, and our own options."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from longwire.errors import BrokerError
from longwire.hub.brokers import redacted

DEFAULT_PORT = 4222
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it begins subjects, and the names of streams
REPLICAS = (1, 3, 5)


@dataclass(frozen=True, slots=True)
class Server:
    """One NATS server; a user without a password is a token."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address without credentials; nats-py is told those apart."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nats://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a NatsBroker; BrokerError for those that cannot work.

    `prefix` begins every subject, and the names of both streams. `heartbeat` and `timeout` are
    seconds. `replicas` is how many servers of a cluster keep what is kept.
    """

    url: str = field(repr=False)
    prefix: str = "longwire"
    heartbeat: float = 5.0
    timeout: float = 5.0
    replicas: int = 1

    def __post_init__(self) -> None:
        if not PREFIX.fullmatch(self.prefix):
            raise BrokerError(f"prefix: 1 to 64 letters, digits, - and _; got {self.prefix!r}")
        for name, seconds in (("heartbeat", self.heartbeat), ("timeout", self.timeout)):
            if not 0.01 <= seconds <= 3600:
                raise BrokerError(f"{name}: 0.01 to 3600 seconds; got {seconds}")
        if self.replicas not in REPLICAS:
            raise BrokerError(f"replicas: 1, 3 or 5; got {self.replicas}")

    @property
    def address(self) -> str:
        """The address for logs and errors."""
        places = (server.url.removeprefix("nats://") for server in self.servers())
        return f"{'tls' if self.is_tls else 'nats'}://{','.join(places)}"

    @property
    def is_tls(self) -> bool:
        """Whether a server without TLS is refused; with nats:// it is the server's choice."""
        return urlsplit(self.url).scheme == "tls"

    def servers(self) -> list[Server]:
        """Return the servers of the address; BrokerError if it names none.

        Those without a user of their own take the first one's.
        """
        found: list[Server] = []
        for part in urlsplit(self.url.partition("?")[0]).netloc.split(","):
            server = _server(part, redacted(self.url))
            if server.user is None and found:
                server = Server(server.host, server.port, found[0].user, found[0].password)
            found.append(server)
        return found


def _server(part: str, shown: str) -> Server:
    # Errors never quote the part: what is taken for a port may be a piece of a password.
    credentials, _, place = part.rpartition("@")
    user, colon, password = credentials.partition(":")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/]+)(?::([0-9]{1,5}))?", place)
    port = int(match[2] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise BrokerError(f"{shown} is no address of NATS: nats://host:4222, or several hosts")
    return Server(
        match[1].strip("[]"),
        port,
        unquote(user) if credentials else None,
        unquote(password) if colon else None,
    )


def options_of(url: str) -> Options:
    """Return the options that an address names; BrokerError for what is none."""
    texts: dict[str, str] = {}
    query = url.partition("?")[2]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in ("prefix", "heartbeat", "timeout", "replicas") or "@" in query:
            # It is not quoted: it may be the rest of a password that should have been escaped.
            raise BrokerError(
                f"{redacted(url)}: its options are prefix, heartbeat, timeout and replicas"
            )
        texts[name] = value
    options = Options(
        url,
        texts.get("prefix", "longwire"),
        _number("heartbeat", texts.get("heartbeat", "5")),
        _number("timeout", texts.get("timeout", "5")),
        int(_number("replicas", texts.get("replicas", "1"))),
    )
    options.servers()
    return options


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise BrokerError(f"{name}: a number; got {text!r}")
    return value
