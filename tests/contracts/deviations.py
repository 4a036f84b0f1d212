"""What a package cannot do, by the name of the contract's test: see tests/server/deviations.py."""

from __future__ import annotations

ENDED = "sending ends with the peer's close, or with its fault"

DEVIATIONS: dict[str, dict[str, str]] = {
    "wsproto": {
        "test_fault[over the limit by its header]": "counted as it comes, not from its header",
        "test_deflated_fault[no deflate stream]": "1007 instead of 1002",
        "test_a_close_is_answered_with_its_code[ping before it]": "no pong once a close has come",
        "test_messages_of_one_read_are_answered_before_its_close": ENDED,
    },
    "websockets": {
        "test_fault[16-bit length for 5 bytes]": "longer length fields are accepted",
        "test_fault[64-bit length for 5 bytes]": "longer length fields are accepted",
        "test_fault[64-bit length with its top bit]": "taken for a large one: 1009",
        "test_fault[bad byte in an open frame]": "checked with the whole frame",
        "test_messages_of_one_read_are_answered_before_its_close": ENDED,
        "test_messages_of_one_read_are_answered_before_its_fault": ENDED,
    },
}
