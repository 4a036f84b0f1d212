"""Operations in JSON: read strictly, and moved past what others did without losing anything."""

from __future__ import annotations

from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.documents.operations import Operation, Revisions, transform
from longwire.documents.positions import index_at, utf16_length
from longwire.documents.replica import Replica
from longwire.documents.texts import TextForm
from longwire.errors import InvalidOperation


def run(text: str, operations: list[Operation]) -> str:
    for operation in operations:
        text = operation.apply(text)
    return text


def fit(length: int, at: int, delete: int, insert: str) -> Operation:
    at = at % (length + 1)
    return Operation(at, delete % (length - at + 1), insert)


edits = st.tuples(st.integers(0, 50), st.integers(0, 8), st.sampled_from(["", "<", "<<", "😀"]))


@given(edits, st.lists(edits, max_size=6))
def test_a_moved_operation_deletes_and_inserts_what_it_meant(
    mine: tuple[int, int, str], theirs: list[tuple[int, int, str]]
) -> None:
    base = "".join(map(chr, range(ord("A"), ord("A") + 20)))  # each character once
    operation = fit(20, mine[0], mine[1], mine[2].replace("<", ">").replace("😀", "🙂"))
    others, text = [], base
    for other in theirs:
        others.append(fit(utf16_length(text), *other))
        try:
            text = others[-1].apply(text)
        except InvalidOperation:  # inside a surrogate pair
            others.pop()
    result = run(text, transform(operation, others))
    deleted = set(base[operation.at : operation.at + operation.delete])
    kept = [char for char in text if char not in deleted]
    assert [char for char in result if char not in ">🙂"] == kept
    assert result.count(">") + result.count("🙂") == len(operation.insert)
    assert operation.insert in result


@pytest.mark.parametrize(
    ("operation", "other", "moved"),
    [
        (Operation(3, 0, "x"), Operation(1, 0, "ab"), [Operation(5, 0, "x")]),
        (Operation(3, 0, "x"), Operation(3, 0, "ab"), [Operation(5, 0, "x")]),
        (Operation(3, 0, "x"), Operation(1, 5), [Operation(1, 0, "x")]),
        (Operation(3, 4), Operation(5, 0, "in"), [Operation(7, 2), Operation(3, 2)]),
        (Operation(3, 4), Operation(3, 4), []),
        (Operation(3, 4, "x"), Operation(2, 6, "y"), [Operation(3, 0, "x")]),
        (Operation(3, 1, "x"), Operation(9, 1), [Operation(3, 1, "x")]),
    ],
)
def test_operations_are_moved(
    operation: Operation, other: Operation, moved: list[Operation]
) -> None:
    assert transform(operation, [other]) == moved


@pytest.mark.parametrize(
    "value",
    [
        None, [], "x", {}, {"at": 1}, {"at": -1, "insert": "x"}, {"at": 1.0, "insert": "x"},
        {"at": True, "insert": "x"}, {"at": 1, "insert": 5}, {"at": 1, "delete": -1},
        {"at": 1, "delete": 0}, {"at": 1, "insert": "\ud83d"}, {"at": 1, "insert": "x", "to": 2},
        {"at": 2**60, "insert": "x"},
    ],
)  # fmt: skip
def test_what_is_no_operation_is_refused(value: Any) -> None:
    with pytest.raises(InvalidOperation, match=r"\w"):
        Operation.parse(value)


def test_the_three_forms_of_an_operation() -> None:
    for value in (
        {"at": 1, "insert": "x"},
        {"at": 1, "delete": 2},
        {"at": 0, "delete": 2, "insert": "x"},
    ):
        assert Operation.parse(value).to_json() == value


def test_positions_count_utf16() -> None:
    assert [index_at("a😀é", offset) for offset in (0, 1, 3, 4)] == [0, 1, 2, 3]
    for offset in (2, 5):
        with pytest.raises(InvalidOperation):
            index_at("a😀é", offset)


def test_old_and_future_versions_are_refused() -> None:
    revisions = Revisions(2)
    for at in range(3):
        revisions.add(Operation(at, 0, "x"))
    assert revisions.since(1) == [Operation(1, 0, "x"), Operation(2, 0, "x")]
    for version in (0, 4, -1, 1.0, None, "1", True):
        with pytest.raises(InvalidOperation, match="version"):
            revisions.since(version)


characters = st.text("ab\né😀", max_size=4)
steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 6), characters), max_size=12
)


@given(steps)
def test_the_text_form_follows_yjs_and_json_edits(
    steps: list[tuple[bool, int, int, str]],
) -> None:
    replica = Replica()
    form = TextForm(replica, "text")
    peer: pycrdt.Doc[Any] = pycrdt.Doc()
    text = peer.get("text", type=pycrdt.Text)
    follower = ""
    for is_json, place, length, insert in steps:
        content = form.content
        start = place % (len(content) + 1)
        end = min(start + length, len(content))
        if is_json:
            at, delete = utf16_length(content[:start]), utf16_length(content[start:end])
            if delete or insert:
                update = form.edit(Operation(at, delete, insert), form.version)
                if update is not None:
                    peer.apply_update(update)
        else:
            state = peer.get_state()
            with peer.transaction():
                first, last = len(content[:start].encode()), len(content[:end].encode())
                del text[first:last]
                text.insert(first, insert)
            replica.apply(peer.get_update(state))
        changes = form.changes()
        assert changes is not None
        follower = run(follower, [operation for _, operation in changes])
        assert form.content == str(text) == follower
    form.close()
    replica.close()


def test_an_operation_beyond_its_version_is_refused() -> None:
    replica = Replica()
    form = TextForm(replica, "text")
    form.edit(Operation(0, 0, "abc"), 0)
    form.edit(Operation(3, 0, "def"), 1)
    with pytest.raises(InvalidOperation, match="version 1 has 3 units"):
        form.edit(Operation(5, 0, "x"), 1)
    form.close()
    replica.close()


def test_a_text_with_more_than_characters_cannot_be_edited_in_json() -> None:
    replica = Replica()
    form = TextForm(replica, "text")
    peer: pycrdt.Doc[Any] = pycrdt.Doc()
    text = peer.get("text", type=pycrdt.Text)
    text += "abc"
    text.insert_embed(1, {"image": 1})
    replica.apply(peer.get_update())
    assert form.changes() is None, "it is to be told whole"
    assert form.content == "abc"
    with pytest.raises(InvalidOperation, match="more in it than text"):
        form.edit(Operation(0, 0, "x"), form.version)
    form.close()
    replica.close()
