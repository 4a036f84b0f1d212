"""Every fenced block of the three documents, in their order, and the tests that execute it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """The fenced block under a heading: its file in blocks/, and its tests as "module.function"."""

    heading: str
    file: str
    tests: tuple[str, ...]


CONCEPTS = (
    Block(
        "Upgrade Process",
        "upgrade_process.mmd",
        ("test_concepts.test_the_diagram", "test_concepts.test_the_listed_events"),
    ),
)

API = (
    Block(
        "WebSocket Class",
        "websocket_class.py",
        (
            "test_class.test_every_member_is_as_documented",
            "test_class.test_properties",
            "test_class.test_accept_takes_subprotocol_and_headers",
            "test_class.test_close_is_1000_by_default",
            "test_class.test_a_denial_response",
            "test_class.test_receiving",
            "test_class.test_receive_and_send_are_raw",
            "test_class.test_iterating_until_the_connection_closes",
            "test_class.test_sending",
        ),
    ),
    Block(
        "WebSocket State and Exceptions",
        "state_and_exceptions.py",
        (
            "test_class.test_states_and_exceptions_are_as_documented",
            "test_class.test_a_disconnect_has_code_and_reason",
            "test_class.test_websocket_close_as_an_endpoint",
        ),
    ),
    Block("Simple Echo Server", "simple_echo.py", ("test_basics.test_simple_echo",)),
    Block("JSON Message Handling", "json_messages.py", ("test_basics.test_json_messages",)),
    Block("Path Parameters", "path_parameters.py", ("test_basics.test_path_parameters",)),
    Block(
        "Query Parameters and Headers",
        "query_and_headers.py",
        (
            "test_basics.test_a_token_in_query_or_header",
            "test_basics.test_without_a_token_it_is_http_403",
        ),
    ),
    Block(
        "Connection Manager",
        "connection_manager.py",
        (
            "test_patterns.test_rooms",
            "test_patterns.test_a_lost_connection_leaves_its_room",
            "test_patterns.test_a_dead_peer_is_removed_and_stops_nobody",
            "test_patterns.test_a_slow_peer_stops_nobody",
        ),
    ),
    Block("Subprotocol Handling", "subprotocols.py", ("test_patterns.test_subprotocols",)),
    Block(
        "Error Handling and Graceful Shutdown",
        "graceful_shutdown.py",
        (
            "test_patterns.test_errors_are_answered",
            "test_patterns.test_a_timeout_loses_no_message",
            "test_patterns.test_shutdown_is_broadcast",
            "test_patterns.test_the_drain_notice_in_process",
            "test_patterns.test_the_drain_notice_of_the_server",
        ),
    ),
    Block(
        "Testing WebSocket Connections",
        "testing_connections.py",
        (
            "test_testing_section.test_websocket",
            "test_testing_section.test_websocket_json",
            "test_testing_section.test_websocket_with_params",
            "test_testing_section.test_websocket_disconnect",
        ),
    ),
    Block(
        "Live Updates",
        "live_updates.py",
        (
            "test_real_time.test_the_first_update",
            "test_real_time.test_updates_until_the_client_leaves",
        ),
    ),
    Block(
        "Collaborative Editing",
        "collaborative_editing.py",
        ("test_real_time.test_editing_together", "test_real_time.test_who_has_left_is_removed"),
    ),
)

HANDSHAKE = ("test_chapter.test_the_handshake_byte_for_byte",)

CHAPTER = (
    Block("The WebSocket Handshake: the request", "handshake_request.http", HANDSHAKE),
    Block("The WebSocket Handshake: the response", "handshake_response.http", HANDSHAKE),
    Block(
        "The Simplest WebSocket App",
        "ws_app.py",
        ("test_chapter.test_the_simplest_application",),
    ),
    Block("The Simplest WebSocket App: run it", "run_it.sh", ("test_chapter.test_the_command",)),
    Block(
        "The Simplest WebSocket App: a client",
        "echo_client.py",
        ("test_chapter.test_the_echo_client",),
    ),
    Block(
        "The Simplest WebSocket App: the browser console",
        "browser_console.js",
        ("test_browser.test_the_console",),
    ),
    Block(
        "A Real Example: Chat Room",
        "chat_room.py",
        (
            "test_chapter.test_the_chat_room",
            "test_chapter.test_rooms_are_separate_and_unquoted",
            "test_chapter.test_who_leaves_before_accept_was_never_there",
            "test_chapter.test_a_dead_client_is_removed_and_stops_nobody",
            "test_chapter.test_a_slow_client_stops_nobody",
        ),
    ),
    Block(
        "A Real Example: Chat Room: several clients",
        "chat_clients.py",
        ("test_chapter.test_the_chat_clients",),
    ),
    Block(
        "Rejecting WebSocket Connections",
        "rejecting.py",
        ("test_chapter.test_a_valid_token", "test_chapter.test_the_close_code_is_seen"),
    ),
    Block("Sending Binary Data", "binary_echo.py", ("test_chapter.test_binary_echo",)),
    Block(
        "Handling Both HTTP and WebSocket",
        "http_and_websocket.py",
        (
            "test_chapter.test_http_and_websocket",
            "test_chapter.test_both_over_one_port",
            "test_chapter.test_an_unknown_scope_is_passed_over",
            "test_browser.test_tabs_share_the_chat_room",
        ),
    ),
    Block(
        "The Concurrency Model",
        "concurrency_model.txt",
        ("test_chapter.test_the_concurrency_model",),
    ),
    Block("What Frameworks Add: Starlette", "starlette_echo.py", ("test_chapter.test_starlette",)),
    Block("What Frameworks Add: FastAPI", "fastapi_hello.py", ("test_chapter.test_fastapi",)),
)

BLOCKS = (*CONCEPTS, *API, *CHAPTER)

SCRIPTS = ("echo_client.py", "chat_clients.py")
"""Blocks that run from their first line to their last, as programs of their own."""
