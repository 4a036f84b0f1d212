"""What the fuzzer kept, and its seeds, on the modules that are imported here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import engine, handshake, seeds
from fuzz.input import join, split
from fuzz.twins import Imported

CORPUS = Path(seeds.__file__).parent / "corpus"
MAX_BYTES = 300 * 1024


def inputs(target: str, folder: Path) -> Iterator[bytes]:
    seeds.write(target, folder)
    for path in (*sorted(folder.iterdir()), *sorted((CORPUS / target).iterdir())):
        yield path.read_bytes()


@pytest.mark.timeout(120)
def test_engine(tmp_path: Path) -> None:
    for data in inputs("engine", tmp_path):
        switches, reads = split(data)
        events, _ = engine.run(Imported(), switches, reads)
        if not switches & (engine.TALK | engine.DEFLATE):
            assert events == engine.run(Imported(), switches, [b"".join(reads)])[0]


def test_handshake(tmp_path: Path) -> None:
    for data in inputs("handshake", tmp_path):
        handshake.run(Imported(), data[0] if data else 0, handshake.headers_in(data[1:]))


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MAX_BYTES


def test_inputs_are_cut_as_they_say() -> None:
    assert split(join(5, b"\x01\x02", b"abcd")) == (5, [b"a", b"bc", b"d"])
    assert split(join(0, b"", b"abcd")) == (0, [b"abcd"])
    assert split(b"") == (0, [])
