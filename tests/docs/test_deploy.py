"""What docs/how-to/deploy.md says of a server that goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.docs.pages import write_files
from tests.process import PATIENCE, running


def test_the_handler_says_goodbye(tmp_path: Path) -> None:
    write_files("how-to/deploy.md", tmp_path)
    with running("app:app", "--port=0", cwd=tmp_path) as server:
        with connect(server.url.replace("http", "ws", 1) + "/ticker") as websocket:
            assert websocket.recv(PATIENCE) == "tick"
            server.popen.terminate()
            while (message := websocket.recv(PATIENCE)) == "tick":
                pass
            assert message == "back in a moment"
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "restarting")
        assert server.exit_status() == 0
