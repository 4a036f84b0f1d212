"""What lib0 encodes, read with every length checked against what is there."""

from __future__ import annotations

from longwire.errors import MalformedMessage

MAX_NUMBER = 2**53 - 1
"""The largest number that JavaScript counts with: larger ones nobody can have meant."""


class Reader:
    """Reads what lib0's encoder wrote; MalformedMessage for what it cannot have."""

    __slots__ = ("_data", "_size", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = len(data)
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that are still to be read."""
        return self._size - self.position

    def number(self) -> int:
        """Read a varuint, MAX_NUMBER at most."""
        number = 0
        shift = 0
        data = self._data
        position = self.position
        while shift <= 49:
            if position >= self._size:
                raise MalformedMessage(f"the message ends inside a number, at byte {position}")
            byte = data[position]
            position += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                if number > MAX_NUMBER:
                    break
                self.position = position
                return number
            shift += 7
        raise MalformedMessage(f"the number at byte {self.position} has over 53 bits")

    def part(self) -> bytes:
        """Read a length, and as many bytes."""
        length = self.number()
        if length > self._size - self.position:
            raise MalformedMessage(
                f"{length} bytes are announced at byte {self.position}, {self.left} are there"
            )
        start = self.position
        self.position = start + length
        return self._data[start : self.position]

    def text(self) -> str:
        """Read a length, and as many bytes of UTF-8."""
        start = self.position
        try:
            return self.part().decode()
        except UnicodeDecodeError:
            raise MalformedMessage(f"the text at byte {start} is not UTF-8") from None

    def count(self, size: int) -> int:
        """Read how many things follow that have `size` bytes at least."""
        count = self.number()
        if count * size > self._size - self.position:
            raise MalformedMessage(f"{count} entries are announced in {self.left} bytes")
        return count

    def end(self) -> None:
        """Be at the end."""
        if self._size - self.position:
            raise MalformedMessage(f"{self.left} bytes follow the message")
