"""permessage-deflate's parameters (RFC 7692 section 7.1), as a table."""

from __future__ import annotations

from typing import Any

import pytest

from longwire.engine import DeflateSettings, accept, negotiate
from longwire.errors import HandshakeError, LocalProtocolError

PMD = "permessage-deflate"
NAME_ONLY = f"{PMD}; server_max_window_bits=12"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (PMD, NAME_ONLY),
        ("Permessage-Deflate", NAME_ONLY),
        (f"{PMD}; client_max_window_bits", f"{NAME_ONLY}; client_max_window_bits=12"),
        (f"{PMD}; client_max_window_bits=10", f"{NAME_ONLY}; client_max_window_bits=10"),
        (f'{PMD}; client_max_window_bits="10"', f"{NAME_ONLY}; client_max_window_bits=10"),
        (f"{PMD}; client_max_window_bits=15", f"{NAME_ONLY}; client_max_window_bits=12"),
        (f"{PMD}; server_max_window_bits=9", f"{PMD}; server_max_window_bits=9"),
        (f"{PMD}; server_max_window_bits=15", NAME_ONLY),
        (f"{PMD}; server_no_context_takeover", f"{PMD}; server_no_context_takeover; "
         "server_max_window_bits=12"),
        (f"{PMD}; client_no_context_takeover", f"{PMD}; client_no_context_takeover; "
         "server_max_window_bits=12"),
        # declined: unknown, repeated, out of range, a value where none belongs, none where one does
        (f"{PMD}; unknown", None),
        (f"{PMD}; server_no_context_takeover; server_no_context_takeover", None),
        (f"{PMD}; server_no_context_takeover=1", None),
        (f"{PMD}; server_max_window_bits", None),
        (f"{PMD}; server_max_window_bits=7", None),
        (f"{PMD}; server_max_window_bits=8", None),
        (f"{PMD}; server_max_window_bits=16", None),
        (f"{PMD}; server_max_window_bits=012", None),
        (f"{PMD}; server_max_window_bits=x", None),
        (f"{PMD}; client_max_window_bits=8", None),
        (f"{PMD}; client_max_window_bits=99999999999999999999", None),
        ("x-webkit-deflate-frame", None),
        ("", None),
        (";;;", None),
        (f'{PMD}; client_max_window_bits="10', None),
        ("\xff", None),
        # the next offer is tried
        (f"{PMD}; unknown, {PMD}", NAME_ONLY),
        (f"x-other; a=b, {PMD}; server_max_window_bits=8, {PMD}", NAME_ONLY),
    ],
)  # fmt: skip
def test_server_answers(offers: str, answer: str | None) -> None:
    agreed = negotiate(offers, DeflateSettings())
    assert (agreed and agreed[0]) == answer


@pytest.mark.parametrize(
    "answer",
    [
        f"{PMD}; unknown",
        f"{PMD}; client_max_window_bits",
        f"{PMD}; server_max_window_bits=15",
        f"{PMD}, {PMD}",
        "x-other",
    ],
)
def test_client_refuses_an_answer_nobody_offered(answer: str) -> None:
    with pytest.raises(HandshakeError):
        accept(answer, DeflateSettings())


def test_client_without_an_answer() -> None:
    assert accept("", DeflateSettings()) is None


@pytest.mark.parametrize(
    "options", [{"level": 10}, {"server_max_window_bits": 8}, {"memory_level": 0}]
)
def test_settings_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        DeflateSettings(**options)


def test_an_empty_message_is_one_byte() -> None:
    agreed = negotiate(PMD, DeflateSettings())
    assert agreed is not None
    assert agreed[1].compress(b"") == b"\x00"


def test_a_long_list_of_offers_is_not_worth_a_parse() -> None:
    assert negotiate(",".join([PMD] * 1000), DeflateSettings()) is None
