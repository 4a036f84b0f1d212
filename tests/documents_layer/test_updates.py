"""Updates from outside: what Yjs makes is taken, everything else leaves a document as it was."""

from __future__ import annotations

import random
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwire.documents.fitting import fitting
from longwire.documents.replica import Behind, Damaged, Replica
from longwire.documents.sync import decode_state, encode_state, number
from longwire.documents.updates import MAX_DEPTH, scan
from longwire.errors import MalformedMessage


def rich_updates() -> list[bytes]:
    """Return updates with every kind of content that pycrdt writes, the whole document last."""
    updates: list[bytes] = []
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=5)
    doc.observe(lambda event: updates.append(event.update))
    doc["text"] = text = pycrdt.Text("hello")
    for step in range(30):
        text.insert(0 if step % 3 else len(text), ("x", "ab", "é😀")[step % 3])
        if step % 5 == 0:
            del text[0 : len(str(text)[0].encode())]
    text.format(0, len(str(text)[:2].encode()), {"bold": True})
    text.insert_embed(0, {"image": 1})
    doc["map"] = pycrdt.Map({"list": [1, -(2**40), 2.5, {"none": None, "true": True, "raw": b"x"}]})
    doc["map"]["list"] = "replaced"
    doc["map"]["array"] = pycrdt.Array([1, pycrdt.Map({"deep": "down"})])
    doc["map"]["document"] = pycrdt.Doc()
    doc["xml"] = pycrdt.XmlFragment(
        [pycrdt.XmlElement("p", {"class": "c"}, [pycrdt.XmlText("in XML")])]
    )
    other: pycrdt.Doc[Any] = pycrdt.Doc(client_id=2**31 + 3)
    other.apply_update(doc.get_update())
    other.get("text", type=pycrdt.Text).insert(0, "other")
    updates.append(other.get_update())
    return updates


RICH = rich_updates()


def test_whatever_pycrdt_writes_is_read() -> None:
    replica, doc = Replica(), pycrdt.Doc[Any]()
    for update in RICH:
        replica.apply(update)
        doc.apply_update(update)
        assert replica.known == replica._state()
    assert replica.doc.get_state() == doc.get_state() or len(replica.known) > 1
    replica.close()


def test_what_is_known_is_no_news() -> None:
    replica = Replica([RICH[-1]])
    assert replica.apply(RICH[-1]) is None
    assert all(replica.apply(update) is None for update in RICH)
    replica.close()


def mutate(update: bytes, seed: random.Random) -> bytes:
    data = bytearray(update)
    for _ in range(seed.randint(1, 3)):
        data[seed.randrange(len(data))] = seed.choice([0, 1, 127, 128, 255, seed.randrange(256)])
    return bytes(data)


@settings(max_examples=400)
@given(st.randoms(use_true_random=False), st.sampled_from(RICH), st.booleans())
def test_a_poisoned_update_leaves_nothing_behind(
    seed: random.Random, update: bytes, is_empty: bool
) -> None:
    replica = Replica([] if is_empty else [RICH[-1]])
    before = replica.snapshot()
    try:
        replica.apply(mutate(update, seed))
    except (MalformedMessage, Behind):
        assert replica.snapshot() == before or len(replica.known) > 1
        assert replica.known == replica._state()
    except Damaged:
        return  # it is made again of what was stored
    else:
        assert replica.known == replica._state()
    finally:
        replica.close()
    assert is_empty_handed(replica)


@given(st.binary(max_size=100))
def test_random_bytes_are_malformed_or_fit(data: bytes) -> None:
    replica = Replica()
    try:
        replica.apply(data)
    except (MalformedMessage, Behind, Damaged):
        pass
    finally:
        replica.close()


@given(st.sampled_from(RICH), st.data())
def test_truncated_updates_are_malformed(update: bytes, data: st.DataObject) -> None:
    with pytest.raises(MalformedMessage):
        scan(update[: data.draw(st.integers(0, len(update) - 1))])


def item(content: bytes, *, client: int = 7, clock: int = 0) -> bytes:
    """Return an update of one item at the root `t`."""
    head = number(1) + number(1) + number(client) + number(clock)
    return head + content[:1] + b"\x01\x01t" + content[1:] + b"\x00"


POISON = {
    "nested until the stack ends": item(b"\x08\x01" + b"\x75\x01" * 100_000 + b"\x7e"),
    "nested one too deep": item(b"\x08\x01" + b"\x75\x01" * (MAX_DEPTH + 1) + b"\x7e"),
    "a clock beyond 32 bits": item(b"\x01" + number(2**32)),
    "a length of nothing": item(b"\x01\x00"),
    "a text that is not UTF-8": item(b"\x04\x02\xff\xfe"),
    "more clients than bytes": b"\xff\xff\xff\xff\x0f\x00",
    "more structs than bytes": b"\x01\xff\xff\xff\xff\x0f\x07\x00\x00",
    "a shared type that is none": item(b"\x07\x0f"),
    "content that is none": item(b"\x1f\x00"),
    "an item that follows itself": b"\x01\x01\x07\x00\x84\x07\x00\x01a\x00",
    "a client twice": b"\x02" + 2 * b"\x01\x07\x00\x00\x01" + b"\x00",
    "no structs": b"\x01\x00\x07\x00\x00",
    "a deletion of nothing": b"\x00\x01\x07\x01\x00\x00",
    "bytes behind": b"\x00\x00\x00",
}


@pytest.mark.parametrize("update", POISON.values(), ids=POISON)
def test_poison_does_not_reach_pycrdt(update: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"\w"):
        scan(update)


NEVER = {
    "a huge clock": item(b"\x04\x01a", clock=2**31),
    "a deletion of what is not there": b"\x00\x01\x07\x01\x00\x05",
    "an origin that is not there": b"\x01\x01\x07\x00\x84\x09\x00\x01a\x00",
    "a skip": b"\x01\x02\x07\x00\x0a\x03\x04\x01\x01t\x01a\x00",
}


@pytest.mark.parametrize("update", NEVER.values(), ids=NEVER)
def test_what_never_resolves_is_not_kept(update: bytes) -> None:
    replica = Replica([RICH[-1]])
    size = len(replica.snapshot())
    for _ in range(100):
        with pytest.raises(Behind):
            replica.apply(update)
    assert len(replica.snapshot()) == size
    replica.close()


@pytest.mark.parametrize("update", NEVER.values(), ids=NEVER)
def test_nothing_fits_of_what_never_resolves(update: bytes) -> None:
    replica = Replica([RICH[-1]])
    before = dict(replica.known)
    news, lacking = replica.apply_part(update)
    assert (news, replica.known) == (None, before)
    assert lacking
    replica.close()


class Editor:
    """A document of one client, and what it wrote."""

    def __init__(self, client: int) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
        self.text = self.doc.get("text", type=pycrdt.Text)
        self.written: list[bytes] = []

    def edit(self, seed: random.Random) -> None:
        before = self.doc.get_state()
        length = len(self.text)
        at = seed.randint(0, length)
        with self.doc.transaction():
            del self.text[at : at + seed.randint(0, min(2, length - at))]
            self.text.insert(at, seed.choice(["x", "yz"]))
        self.written.append(self.doc.get_update(before))


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_what_fits_of_an_answer_is_taken_and_the_rest_later(seed: random.Random) -> None:
    # Three write, and hear of each other; then the first hears only some of what the others wrote.
    editors = [Editor(client) for client in seed.sample(range(1, 10), 3)]
    ada, *others = editors
    for _ in range(seed.randint(1, 25)):
        editor = seed.choice(editors)
        editor.edit(seed)
        if seed.random() < 0.5:
            other = seed.choice(others)
            other.doc.apply_update(editor.doc.get_update(other.doc.get_state()))
    own = len(ada.written) and decode_state(ada.doc.get_state())[ada.doc.client_id]
    for editor in others:
        for update in editor.written:
            if seed.random() < 0.6:
                ada.doc.apply_update(update)
    ada.edit(seed)

    replica = Replica()
    for update in others[0].written[: seed.randint(0, 3)]:
        replica.apply_part(update)
    answer = ada.doc.get_update(encode_state(replica.known))
    _, lacking = replica.apply_part(answer)
    assert replica.known.get(ada.doc.client_id, 0) >= own, "it was written before the others came"
    assert replica.known == replica._state()
    assert is_empty_handed(replica)
    assert all(clock > replica.known.get(client, 0) for client, clock in lacking.items())

    for _ in range(len(editors)):  # as often as one may wait for the other
        for editor in others:
            replica.apply_part(editor.doc.get_update())
        _, lacking = replica.apply_part(ada.doc.get_update(encode_state(replica.known)))
    assert not lacking
    everything: pycrdt.Doc[Any] = pycrdt.Doc()
    for editor in (*others, ada):
        everything.apply_update(editor.doc.get_update())
    assert replica.known == decode_state(everything.get_state())
    text = str(everything.get("text", type=pycrdt.Text))
    assert str(replica.doc.get("text", type=pycrdt.Text)) == text
    replica.close()


def test_what_yjs_answers_while_something_waits_fits_but_for_that() -> None:
    # Yjs 13: ada wrote "one ", "two " before it, "three " behind "one " and "four " before all; bob
    # wrote "bob's ", heard all but "two ", wrote "and " and deleted two characters.
    ada, bob = 4184486518, 4132066295
    answer = bytes.fromhex(
        "0204f6e4a8cb0f0004010474657874046f6e65200a0484f6e4a8cb0f030674687265652044f6e4a8cb0f0405666f"
        "75722003f7a7a9b20f00010104746578740284f7a7a9b20f01046227732044f7a7a9b20f0004616e642001f7a7a9"
        "b20f010002"
    )
    replica = Replica()
    with pytest.raises(Behind):
        replica.apply(answer)
    _, lacking = replica.apply_part(answer)
    assert lacking == {ada: 8}
    assert replica.known == {ada: 4, bob: 10}
    assert str(replica.doc.get("text", type=pycrdt.Text)) == "and b's one "
    assert is_empty_handed(replica)
    replica.close()


def is_empty_handed(replica: Replica) -> bool:
    """Return whether nothing waits inside of pycrdt for what may never come."""
    return replica.doc.get_update(replica.doc.get_state())[0] == 0


@settings(max_examples=400)
@given(st.randoms(use_true_random=False), st.sampled_from(RICH), st.sampled_from(RICH))
def test_what_fits_needs_nothing_more(seed: random.Random, update: bytes, state: bytes) -> None:
    update = mutate(update, seed)
    known = {client: seed.randint(0, end) for client, end in scan(state).ends.items()}
    try:
        is_missing = scan(update).is_missing(known)
    except MalformedMessage:
        return
    part, lacking = fitting(update, known)
    assert not scan(part).is_missing(known)
    assert fitting(part, known) == (part, {})
    assert lacking or not is_missing
    assert lacking or scan(part) == scan(update)


# An item within a text's character: it is whole, and pycrdt fails in the middle of it.
DAMAGING = b"\x01\x02\x07\x00\x04\x01\x04text\x01a\x04\x00\x07\x00\x01b\x00"


def test_what_pycrdt_fails_on_damages_only_the_replica() -> None:
    replica = Replica([RICH[-1]])
    known = dict(replica.known)
    with pytest.raises(Damaged):
        replica.apply(DAMAGING)
    assert replica.known == known
    replica.close()


def test_items_that_wait_for_each_other_damage_only_the_replica() -> None:
    circle = b"\x01\x08\x00\x84\x07\x00\x01a\x01\x07\x00\x84\x08\x00\x01b"
    sound = b"\x01\x09\x00\x04\x01\x01t\x01a"
    replica = Replica([RICH[-1]])
    known = dict(replica.known)
    with pytest.raises(Damaged):
        replica.apply(b"\x03" + sound + circle + b"\x00")
    assert replica.known == known, "what was not taken"
    replica.close()


def test_values_may_be_as_deep_as_the_limit() -> None:
    replica = Replica()
    assert replica.apply(item(b"\x08\x01" + b"\x75\x01" * MAX_DEPTH + b"\x7e")) is not None
    replica.close()


def test_replicas_that_know_the_same_have_the_same_digest() -> None:
    first, second = Replica(RICH), Replica([RICH[-1]])
    assert first.digest() == second.digest()
    second.edit(second.doc.get("text", type=pycrdt.Text), [(0, 1, "")])
    assert first.digest() != second.digest()
    assert first.known == second.known, "a deletion is not in the state vector"
    first.close()
    second.close()
