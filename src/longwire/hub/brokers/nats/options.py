"""What an address says: where the NATS servers are, who we are there, and our own options."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from longwire.errors import BrokerError
from longwire.hub.brokers import check_escaped, redacted, scheme_of
from longwire.hub.brokers.nats.credentials import Credentials, tls_of

DEFAULT_PORT = 4222
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it begins subjects, and the names of streams
REPLICAS = (1, 3, 5)

TIMEOUT = 5.0
CLUSTER_TIMEOUT = 15.0
"""Seconds that anything may take, unless told otherwise: with one replica, and with more. If the
leader of these dies, the others wait for 4 to 9 s before they elect another one, and for less than
one more if they do not agree at once: who publishes or joins meanwhile waits, without an error."""

NUMBERS = ("heartbeat", "timeout", "replicas")
FILES = ("user_credentials", "nkeys_seed")
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
NAMES = ("prefix", *NUMBERS, *FILES, *TLS_FILES)
"""What may stand in the query string of an address."""


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
    seconds. `replicas` is how many servers of a cluster keep what is kept. Credentials stand in the
    address or besides, not in both; `tls` is for connections that are to be nothing else.
    """

    url: str = field(repr=False)
    prefix: str = "longwire"
    heartbeat: float = 5.0
    timeout: float = TIMEOUT
    replicas: int = 1
    credentials: Credentials = Credentials()
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_escaped(self.url)
        if not PREFIX.fullmatch(self.prefix):
            raise BrokerError(f"prefix: 1 to 64 letters, digits, - and _; got {self.prefix!r}")
        for name, seconds in (("heartbeat", self.heartbeat), ("timeout", self.timeout)):
            if not 0.01 <= seconds <= 3600:
                raise BrokerError(f"{name}: 0.01 to 3600 seconds; got {seconds}")
        if self.replicas not in REPLICAS:
            raise BrokerError(f"replicas: 1, 3 or 5; got {self.replicas}")
        if self.credentials and any(server.user is not None for server in self.servers()):
            raise BrokerError(f"{self.address}: credentials stand in the address or besides it")

    @property
    def address(self) -> str:
        """The address for logs and errors."""
        places = (server.url.removeprefix("nats://") for server in self.servers())
        return f"{'tls' if self.is_tls else 'nats'}://{','.join(places)}"

    @property
    def is_tls(self) -> bool:
        """Whether a server without TLS is refused; with nats:// alone it is the server's choice."""
        return scheme_of(self.url) == "tls" or self.tls is not None

    def servers(self) -> list[Server]:
        """Return the servers of the address; BrokerError if it names none.

        Those without a user of their own take the first one's.
        """
        found: list[Server] = []
        places = re.split("[/?#]", self.url.partition("://")[2], maxsplit=1)[0]
        for part in places.split(","):
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


def arguments_of(url: str) -> dict[str, Any]:
    """Return what an address says beyond where the servers are, as NatsBroker's arguments.

    BrokerError for what is none of them.
    """
    texts: dict[str, str] = {}
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name not in NAMES:  # which is not quoted: of "nats://ann:12?x=3" it may be the password
            raise BrokerError(f"{redacted(url)}: its options are {', '.join(NAMES)}")
        texts[name] = value
    arguments: dict[str, Any] = {
        name: text for name, text in texts.items() if name not in (*NUMBERS, *TLS_FILES)
    }
    arguments |= {name: _number(name, texts[name]) for name in NUMBERS if name in texts}
    arguments["tls"] = tls_of({name: texts[name] for name in TLS_FILES if name in texts})
    return arguments


def _number(name: str, text: str) -> float:
    try:
        return int(text) if name == "replicas" else float(text)
    except ValueError:
        raise BrokerError(f"{name}: a number; got {text!r}") from None
