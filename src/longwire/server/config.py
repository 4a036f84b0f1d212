"""Every option of the server, once: the command line and the environment are made of these fields.

Names and defaults are uvicorn's wherever it has the option, so that moving is replacing a word.
A value that cannot work is refused here, in one line, before anything is bound.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from longwire.asgi import ASGIApp, Header
from longwire.engine.codes import check_sendable
from longwire.engine.handshake import check_header, check_not_ours
from longwire.errors import ConfigError, LocalProtocolError
from longwire.server.trusted import BY_DEFAULT, TrustedProxies

LOOPS = ("auto", "uvloop", "asyncio")
ENGINES = ("auto", "native", "wsproto", "websockets", "websockets-sansio", "none")
LIFESPANS = ("auto", "on", "off")
LOOPBACK = "127.0.0.1"
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
MOST = 2**53
"""What any number may be at most: exact as a float too, and C's counters have room above it."""


def option(
    default: Any,
    group: str,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float = MOST,
    is_secret: bool = False,
) -> Any:
    """A field of Config: what the command line says of it, and what values it may have."""
    return field(
        default=default,
        repr=not is_secret,
        metadata={"group": group, "help": text, "choices": choices, "low": low, "high": high},
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one server; times are in seconds, sizes in bytes. Raises ConfigError."""

    app: str | ASGIApp = option("", "Application", "module:attribute, or the callable itself")
    factory: bool = option(False, "Application", "The application is a function that makes it")
    app_dir: str = option(".", "Application", "Where the module is looked for")
    env_file: str | None = option(None, "Application", "Environment variables to read first")
    lifespan: str = option(
        "auto", "Application", "Run start-up and shutdown events", choices=LIFESPANS
    )
    root_path: str = option("", "Application", "The path under which a proxy serves this")

    host: str = option("127.0.0.1", "Listening", "Address to listen on")
    port: int = option(8000, "Listening", "Port; 0 takes a free one", low=0, high=65535)
    uds: str | None = option(None, "Listening", "Unix socket to listen on instead")
    fd: tuple[int, ...] = option(
        (), "Listening", "Inherited socket to listen on instead; may be named more than once"
    )
    backlog: int = option(
        2048, "Listening", "Connections the kernel keeps for us", low=1, high=2**31 - 1
    )
    loop: str = option("auto", "Listening", "Event loop", choices=LOOPS)

    workers: int = option(1, "Workers", "Processes that serve the address together", low=1)
    timeout_worker_healthcheck: float = option(
        5.0, "Workers", "Seconds a worker's event loop may stand still", low=0.5
    )
    timeout_worker_startup: float = option(
        120.0, "Workers", "Seconds a worker may take until it serves; 0 for ever", low=0
    )
    broker: str = option(
        "auto",
        "Workers",
        "What joins the hubs of the workers: an address, none, or auto, a nats-server of their own",
        is_secret=True,
    )
    reload: bool = option(False, "Workers", "Start again when a file changes")
    reload_dir: tuple[str, ...] = option((), "Workers", "Where to look; by default --app-dir")
    reload_include: tuple[str, ...] = option((), "Workers", "Patterns of files beside *.py")
    reload_exclude: tuple[str, ...] = option((), "Workers", "Patterns of files not to look at")
    reload_delay: float = option(
        0.25, "Workers", "Seconds between looks; the end waits for one", low=0.01, high=10.0
    )

    ws: str = option("auto", "WebSocket", "Engine; none serves HTTP alone", choices=ENGINES)
    ws_max_size: int = option(
        16 * 1024 * 1024, "WebSocket", "Largest message, in bytes; 0 for no limit", low=0
    )
    ws_max_queue: int = option(
        32, "WebSocket", "Messages waiting for the application before reading stops", low=1
    )
    ws_ping_interval: float | None = option(
        20.0, "WebSocket", "Seconds between pings; 0 for none", low=0
    )
    ws_ping_timeout: float | None = option(
        20.0, "WebSocket", "Seconds a pong may take; 0 for ever", low=0
    )
    ws_close_timeout: float = option(
        10.0, "WebSocket", "Seconds the closing handshake may take", low=0.1
    )
    ws_handshake_timeout: float = option(
        30.0, "WebSocket", "Seconds the application may take to accept; 0 for ever", low=0
    )
    ws_send_buffer: int = option(
        1024 * 1024, "WebSocket", "Bytes kept for a slow reader before send() waits", low=0
    )
    ws_max_lifetime: float | None = option(
        None, "WebSocket", "Seconds a WebSocket may live, less a random tenth; 0 for ever", low=0
    )
    ws_drain_code: int = option(
        1012, "WebSocket", "Close code when the server goes away", low=1000, high=4999
    )
    ws_per_message_deflate: bool = option(True, "WebSocket", "Compress where clients offer it")
    ws_deflate_level: int = option(6, "WebSocket", "zlib's level", low=0, high=9)
    ws_deflate_window_bits: int = option(
        12, "WebSocket", "Window of either side, in bits", low=9, high=15
    )
    ws_deflate_memory_level: int = option(5, "WebSocket", "zlib's memory level", low=1, high=9)
    ws_deflate_no_context_takeover: bool = option(
        False, "WebSocket", "Either side begins every message with an empty window"
    )
    ws_deflate_threshold: int = option(
        128, "WebSocket", "Bytes below which a message is not compressed", low=0
    )

    headers: tuple[Header, ...] = option((), "HTTP", "name:value to add to every response")
    server_header: bool = option(True, "HTTP", "Send a Server header")
    date_header: bool = option(True, "HTTP", "Send a Date header")
    limit_header_count: int = option(128, "HTTP", "Headers of a request", low=1)
    limit_header_size: int = option(64 * 1024, "HTTP", "Bytes of a request's head", low=256)
    limit_concurrency: int | None = option(
        None, "HTTP", "Open connections before 503, upgrades included", low=1
    )
    limit_connections_per_address: int | None = option(
        None, "HTTP", "Open connections of one client address before 429, upgrades included", low=1
    )
    limit_max_requests: int | None = option(
        None, "HTTP", "Requests and WebSockets to serve before ending", low=1
    )
    limit_max_requests_jitter: int = option(
        0, "HTTP", "Up to so many more, at random, so that workers do not end together", low=0
    )
    timeout_headers: float = option(10.0, "HTTP", "Seconds a request's head may take", low=0)
    timeout_keep_alive: float = option(5.0, "HTTP", "Seconds to wait for the next request", low=0)
    timeout_graceful_shutdown: float | None = option(
        10.0, "HTTP", "Seconds to drain before connections are cut", low=0
    )

    proxy_headers: bool = option(
        True, "Proxies", "Believe X-Forwarded-For and X-Forwarded-Proto of trusted proxies"
    )
    forwarded_allow_ips: str | Sequence[str] | None = option(
        None,
        "Proxies",
        "Trusted proxies: addresses, networks, unix, or * for all; "
        f"$FORWARDED_ALLOW_IPS or {BY_DEFAULT} by default",
    )
    proxy_protocol: bool = option(
        False, "Proxies", "Connections begin with the PROXY protocol; only trusted ones are taken"
    )

    ssl_keyfile: str | None = option(None, "TLS", "Private key")
    ssl_keyfile_password: str | None = option(None, "TLS", "Password of the key", is_secret=True)
    ssl_certfile: str | None = option(None, "TLS", "Certificate chain")
    ssl_version: int = option(
        int(ssl.PROTOCOL_TLS_SERVER), "TLS", "Protocol, as Python's ssl has it"
    )
    ssl_cert_reqs: int = option(
        int(ssl.CERT_NONE),
        "TLS",
        "Client certificates: 0 none, 1 optional, 2 required",
        low=0,
        high=2,
    )
    ssl_ca_certs: str | None = option(None, "TLS", "Authorities of client certificates")
    ssl_ciphers: str = option("", "TLS", "Ciphers, as OpenSSL names them")

    metrics: str | None = option(
        None, "Metrics", "host:port at which Prometheus finds /metrics; host 127.0.0.1 if left out"
    )

    log_config: str | dict[str, Any] | None = option(
        None, "Logging", "A logging configuration: .json, .yaml or .ini"
    )
    log_format: str = option(
        "text", "Logging", "Lines for people, or JSON, one object a line", choices=LOG_FORMATS
    )
    log_level: str = option("info", "Logging", "How much to log", choices=LOG_LEVELS)
    access_log: bool = option(True, "Logging", "Log requests, and sockets opening and closing")
    use_colors: bool | None = option(None, "Logging", "Colours; by default on a terminal")

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item, getattr(self, item.name))
        self._check_fd()
        if self.uds is not None and self.fd:
            raise ConfigError("--uds and --fd exclude each other")
        if (self.workers > 1 or self.reload) and not isinstance(self.app, str):
            raise ConfigError("--workers and --reload need the application as module:attribute")
        if self.broker not in ("auto", "none") and "://" not in self.broker:
            raise ConfigError("--broker is auto, none or an address, as in redis://localhost")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ConfigError("--ssl-keyfile needs --ssl-certfile")
        if self.log_config is not None and self.log_format != "text":
            raise ConfigError("--log-format and --log-config exclude each other")
        self._check_headers()
        self.trusted_proxies()
        self._check_metrics()
        try:
            check_sendable(self.ws_drain_code, is_client=False)
        except LocalProtocolError as error:
            raise ConfigError(f"--ws-drain-code: {error}") from None

    def _check_fd(self) -> None:
        """Make one descriptor a tuple, as uvicorn's callers give a number; None is none."""
        given: object = self.fd
        if given is None or isinstance(given, int):
            object.__setattr__(self, "fd", () if given is None else (given,))
        for fd in self.fd:
            if fd < 0 or self.fd.count(fd) > 1:
                raise ConfigError(f"--fd names different descriptors, at least 0; got {fd}")

    def _check_headers(self) -> None:
        for name, value in self.headers:
            try:
                check_header(name, value)
                check_not_ours(name)  # each answer would have it, and not every one allows it
            except LocalProtocolError as error:
                raise ConfigError(f"--header: {error}") from None

    def trusted_proxies(self) -> TrustedProxies:
        """Return the proxies that are believed; ConfigError names the entry that is none."""
        names = self.forwarded_allow_ips
        if names is None:
            names = os.environ.get("FORWARDED_ALLOW_IPS", BY_DEFAULT)
        return TrustedProxies(names)

    def _check_metrics(self) -> None:
        if self.metrics is None:
            return
        _, port = split_address(self.metrics)
        if port and port == self.port and self.uds is None and not self.fd:
            raise ConfigError(f"--metrics: port {port} is the application's; choose another")

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.ssl_certfile is not None

    def ssl_context(self) -> ssl.SSLContext:
        """Load the certificate; ConfigError names the file that is missing or no good."""
        assert self.ssl_certfile is not None
        context = ssl.SSLContext(self.ssl_version)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        password: Callable[[], str] | None = None
        if self.ssl_keyfile_password is not None:
            password = lambda: str(self.ssl_keyfile_password)  # noqa: E731
        try:
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password)
        except OSError as error:  # SSLError is one
            names = " and ".join(filter(None, (self.ssl_certfile, self.ssl_keyfile)))
            raise ConfigError(f"--ssl-certfile: {names} cannot be used: {_cause(error)}") from None
        context.verify_mode = ssl.VerifyMode(self.ssl_cert_reqs)
        try:
            if self.ssl_ca_certs:
                context.load_verify_locations(self.ssl_ca_certs)
        except OSError as error:
            raise ConfigError(
                f"--ssl-ca-certs: {self.ssl_ca_certs} cannot be used: {_cause(error)}"
            ) from None
        try:
            if self.ssl_ciphers:
                context.set_ciphers(self.ssl_ciphers)
        except ssl.SSLError as error:
            raise ConfigError(f"--ssl-ciphers {self.ssl_ciphers!r}: {_cause(error)}") from None
        context.set_alpn_protocols(["http/1.1"])
        return context


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of --metrics: host:port, [::1]:port, :port or port. ConfigError."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"--metrics is host:port, as in 127.0.0.1:9464; got {text!r}")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)


def _cause(error: OSError) -> str:
    return error.strerror or str(error)


def _short(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:  # an int beyond what a float can be
        return "a number of over 300 digits"


def _check(option: Field[Any], value: Any) -> None:
    """Raise ConfigError unless the value is one that the option can have."""
    flag = "--" + option.name.replace("_", "-")
    low, high = option.metadata["low"], option.metadata["high"]
    choices = option.metadata["choices"]
    if choices and value not in choices:
        raise ConfigError(f"{flag} is one of {', '.join(choices)}; got {value!r}")
    if low is None or (value is None and "None" in str(option.type)):
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError(f"{flag} is a number; got {value!r}")
    if not low <= value <= high:
        span = f"from {low:g} to {high:g}"
        if high == MOST:
            span = f"at least {low:g}, and at most 2**53"
        raise ConfigError(f"{flag} is {span}; got {_short(value)}")
