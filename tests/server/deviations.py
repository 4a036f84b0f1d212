"""What a package cannot do behind our server, by the name of the test that our own engine passes.

Each is an expected failure, strictly: a release of the package that learns it fails the suite here,
and docs/engines.md, which lists them for operators, is due for an edit.
"""

from __future__ import annotations

ANSWERED_FIRST = "messages in one read with a close are not answered: sending ends with the close"

DEVIATIONS: dict[str, dict[str, str]] = {
    "wsproto": {
        "test_messages_before_a_close_are_answered_before_it": ANSWERED_FIRST,
        "test_protocol_fault[message over the limit]": "counted as it comes, not from its header",
        "test_protocol_fault[fragments over the limit]": "counted as they come, not from a header",
        "test_a_route_has_a_compression_budget_of_its_own": "everything is compressed once agreed",
        "test_client_closes[1014]": "a peer's code 1014 is taken for a fault: 1002",
        "test_app_closes_with_a_legal_code[1014]": "sent, but a fault in the peer's answer: 1006",
        "test_deflate_compresses_as_hard_as_it_is_told": "zlib's own levels",
        "test_deflate_has_a_threshold": "everything is compressed once that is agreed",
        "test_deflate_per_message": "everything is compressed once that is agreed",
    },
    "websockets": {
        "test_messages_before_a_close_are_answered_before_it": ANSWERED_FIRST,
        "test_protocol_fault[16-bit length for 5 bytes]": "longer length fields are accepted",
        "test_protocol_fault[64-bit length for 5 bytes]": "longer length fields are accepted",
        "test_protocol_fault[64-bit length with its top bit]": "taken for a large one: 1009",
        "test_protocol_fault[bad byte before the frame is whole]": "checked with the whole frame",
    },
}


def deviation(
    known: dict[str, dict[str, str]], engine: str, name: str, parameters: str
) -> str | None:
    """Return why this engine fails the test, or None if it has to pass."""
    for test, reason in known.get(engine, {}).items():
        function, _, parameter = test.rstrip("]").partition("[")
        if name == function and parameter in parameters:
            return reason
    return None
