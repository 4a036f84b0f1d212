"""The sockets that the server listens on: TCP, unix, or inherited; errors in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from pathlib import Path

from longwire.errors import BindError
from longwire.server.config import Config

UDS_MODE = 0o666
"""A proxy in front runs as another user; who may reach the directory is the operator's choice."""


def bind(config: Config) -> list[socket.socket]:
    """Return the sockets, bound and not yet listening; BindError says what to do."""
    if config.fd:
        return _inherit(config.fd)
    if config.uds is not None:
        return [_bind_unix(config.uds)]
    return bind_tcp(config.host, config.port)


def _inherit(descriptors: tuple[int, ...]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for fd in descriptors:
        try:
            sockets.append(socket.socket(fileno=fd))
        except OSError as error:
            close_all(sockets)
            raise BindError(f"--fd {fd} is not a socket: {error.strerror}") from None
    return sockets


def _bind_unix(path: str) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, UDS_MODE)
    except OSError as error:
        sock.close()
        raise BindError(f"--uds {path} cannot be bound: {error.strerror or error}") from None
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket file that a server which is gone left behind."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise BindError(f"--uds {path} exists and is not a socket")
    except FileNotFoundError:
        return
    except OSError as error:
        raise BindError(f"--uds {path} cannot be bound: {error.strerror}") from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server whose backlog is full would have us wait
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            raise BindError(f"--uds {path} cannot be examined: {error.strerror}") from None
    raise BindError(f"--uds {path} is in use: another server listens there")


def bind_tcp(
    host: str,
    port: int,
    is_shared: bool = False,
    *,
    host_option: str = "--host",
    port_option: str = "--port",
) -> list[socket.socket]:
    """Bind every address of the host; BindError names the option.

    `is_shared` lets more sockets of ours bind it, too.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BindError(
            f"{host_option} {host!r} is no address of this machine: {error.strerror}"
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if sockets and port == 0:  # the free port that the first one got
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sockets.append(_bind_one(family, kind, protocol, address, is_shared))
    except OSError as error:
        close_all(sockets)
        raise BindError(_explain(error, host, port, port_option)) from None
    return sockets


def _bind_one(
    family: int, kind: int, protocol: int, address: tuple[object, ...], is_shared: bool
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _explain(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: choose another with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges that this process does not have"
    return f"{host}:{port} cannot be bound: {error.strerror or error}"


def close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def close_listeners(sockets: list[socket.socket], config: Config) -> None:
    """Close the sockets, and remove the unix socket's file."""
    close_all(sockets)
    _remove_file(config)


def _remove_file(config: Config) -> None:
    if config.uds is not None:
        with contextlib.suppress(OSError):
            os.unlink(config.uds)


def address(sock: socket.socket, is_tls: bool) -> str:
    """Return a listening socket's address, as a person would type it."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class Listening:
    """The listening sockets of several workers, one list for each; a context that closes them.

    A TCP address has a socket a worker, among which the kernel spreads connections evenly; a unix
    or an inherited socket is for all of them.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.slots: list[list[socket.socket]] = []
        self._lock: socket.socket | None = None

    def __enter__(self) -> Listening:
        """Bind; BindError says what to do."""
        config = self._config
        if config.fd or config.uds is not None:
            self.slots = [bind(config)] * config.workers
        else:
            self._lock, self.slots = _bind_shared(config.host, config.port, config.workers)
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let no connection come any more. Idempotent."""
        for sockets in self.slots:
            close_all(sockets)
        if self.slots:
            _remove_file(self._config)
        if self._lock is not None:
            self._lock.close()
        self.slots = []

    def listen(self) -> None:
        """Let connections come, to all workers alike from the first on."""
        for sockets in self.slots:
            for sock in sockets:
                sock.listen(self._config.backlog)

    @property
    def addresses(self) -> list[str]:
        """The addresses, as a person would type them."""
        return [address(sock, self._config.is_tls) for sock in self.slots[0]]


def _bind_shared(
    host: str, port: int, count: int
) -> tuple[socket.socket | None, list[list[socket.socket]]]:
    """Return a lock on the address, where the system has such, and the sockets of each worker."""
    # Another server that shares its port, too, would not be in the way: first ask as one that
    # does not. That meets a server that listens; one that is still starting has the lock.
    probes = bind_tcp(host, port)
    port = probes[0].getsockname()[1]
    close_all(probes)
    lock = _lock_address(host, port)
    slots: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            slots.append(bind_tcp(host, port, is_shared=True))
    except BindError:
        for sockets in slots:
            close_all(sockets)
        if lock is not None:
            lock.close()
        raise
    return lock, slots


def _lock_address(host: str, port: int) -> socket.socket | None:
    """Hold a name that ends with this process: a unix socket that is in no folder (Linux)."""
    if sys.platform != "linux":
        return None
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0longwire {host} {port}")
    except OSError as error:
        lock.close()
        raise BindError(_explain(error, host, port, "--port")) from None
    return lock
