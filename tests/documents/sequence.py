"""A mermaid sequence diagram as the arrows of one walk through it."""

from __future__ import annotations

from collections.abc import Sequence


def arrows(diagram: str, choices: Sequence[str], rounds: int) -> list[str]:
    """Return the arrows for the `choices` among the alternatives, each loop gone `rounds` times.

    `alt name` ... `else name` ... `end` is walked where its name is chosen; `loop` ... `end`.
    """
    lines = [line.strip() for line in diagram.splitlines()]
    walked, rest = _walk(lines, choices, rounds)
    assert not rest, rest
    return walked


def notes(diagram: str) -> list[list[str]]:
    """Return the lines of each note, such as the headers of a request."""
    return [
        line.split(": ", 1)[1].split("<br/>")
        for line in diagram.splitlines()
        if line.strip().startswith("Note ")
    ]


def _walk(lines: list[str], choices: Sequence[str], rounds: int) -> tuple[list[str], list[str]]:
    """Walk to the end of this level; return its arrows, and the lines behind it."""
    walked: list[str] = []
    while lines:
        line, lines = lines[0], lines[1:]
        word, _, name = line.partition(" ")
        if word == "end" or word == "else":
            return walked, [line, *lines]
        if word == "loop":
            inner, lines = _walk(lines, choices, rounds)
            walked += inner * rounds
            lines = lines[1:]  # its end
        elif word == "alt":
            while word != "end":
                inner, lines = _walk(lines, choices, rounds)
                walked += inner if name in choices else []
                word, _, name = lines[0].partition(" ")
                lines = lines[1:]
        elif "->>" in line:
            walked.append(line)
    return walked, []
