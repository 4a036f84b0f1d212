"""The unix socket's file: whose it is, and when it may be removed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from longwire.errors import BindError
from longwire.server.config import Config
from longwire.server.listener import bind


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
