"""The API page's tests, as they stand: pytest collects them from here."""

from __future__ import annotations

from tests.documents.blocks.testing_connections import (
    test_websocket,
    test_websocket_disconnect,
    test_websocket_json,
    test_websocket_with_params,
)

__all__ = [
    "test_websocket",
    "test_websocket_disconnect",
    "test_websocket_json",
    "test_websocket_with_params",
]
