"""The listening sockets: whose a unix socket's file is, and what is left of a bind that failed."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from longwire.errors import BindError
from longwire.server.config import Config
from longwire.server.listener import Listening, bind
from tests.ports import fixed_port


@contextmanager
def bound(kind: socket.SocketKind, path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, kind)) as other:
        other.bind(str(path))
        yield other


def test_a_socket_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with bound(socket.SOCK_DGRAM, path):
        with pytest.raises(BindError, match="cannot be examined"):
            bind(Config(uds=str(path)))
        assert path.is_socket()


def test_a_server_whose_backlog_is_full_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with bound(socket.SOCK_STREAM, path) as busy:
        busy.listen(0)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as waiting:
            waiting.connect(str(path))
            with pytest.raises(BindError, match="in use"):
                bind(Config(uds=str(path)))
        assert path.is_socket()


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(socket.socket()) as lowest_free:
        limit = lowest_free.fileno() + count
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_workers_that_find_too_few_descriptors_leave_the_address_free() -> None:
    listening = Listening(Config(port=fixed_port(), workers=4))
    with descriptors_left(3), pytest.raises(BindError, match=os.strerror(errno.EMFILE)) as failed:
        listening.__enter__()
    assert failed.value  # as long as it is there, so are the sockets that its traceback knows
    with listening:
        assert len(listening.slots) == 4
