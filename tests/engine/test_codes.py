"""Close codes and reasons (RFC 6455 section 7.4)."""

from __future__ import annotations

import pytest

from longwire.engine.codes import check_sendable, cut_reason, is_receivable
from longwire.errors import LocalProtocolError

ALLOWED = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_receivable_codes() -> None:
    assert {code for code in range(70000) if is_receivable(code)} == ALLOWED


@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
def test_sendable_codes(is_client: bool) -> None:
    sendable = set()
    for code in range(6000):
        try:
            check_sendable(code, is_client)
            sendable.add(code)
        except LocalProtocolError:
            pass
    assert sendable == (ALLOWED if is_client else ALLOWED - {1010})


@pytest.mark.parametrize("code", ["1000", 1000.0, True, None, b"\x03\xe8"])
def test_a_code_that_is_no_int(code: object) -> None:
    with pytest.raises(LocalProtocolError, match="close code"):
        check_sendable(code, False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("", b""),
        ("x" * 123, b"x" * 123),
        ("x" * 124, b"x" * 123),
        ("é" * 62, "é".encode() * 61),  # 122 bytes: the 62nd does not fit
        ("x" + "é" * 62, b"x" + "é".encode() * 61),
        ("😀" * 31, "😀".encode() * 30),
        ("\ud800", b"?"),
    ],
    ids=["empty", "fits", "one over", "two bytes", "odd", "four bytes", "lone surrogate"],
)
def test_a_reason_is_cut_between_characters(reason: str, cut: bytes) -> None:
    assert cut_reason(reason) == cut


def test_a_reason_that_is_no_str() -> None:
    with pytest.raises(LocalProtocolError, match="close reason"):
        cut_reason(1000)  # type: ignore[arg-type]
