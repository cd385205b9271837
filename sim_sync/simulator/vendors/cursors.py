"""Opaque cursors over a fleet's positions: made without memory, checked, and expired on demand."""

from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.hashing import MASK64, mix64, seeded_number, unmix64
from sim_sync.simulator.vendors.parameters import BadParameter

_POSITION_BITS = 40


class UnknownCursor(BadParameter):
    """This carrier never gave that cursor out."""


class ExpiredCursor(BadParameter):
    """The carrier gave that cursor out, and no longer knows it."""


class Cursors:
    """Turns positions of one fleet's list into opaque texts and back. A cursor of another fleet is not accepted.

    A position is a whole number of at most 40 bits; `name` tells one kind of a vendor's cursors from another. After a
    start they are the same again.
    """

    def __init__(self, fleet: Fleet, name: str, *, prefix: str = "") -> None:
        self._prefix = prefix
        self._seed = (name, fleet.fleet_spec.seed)
        self._keys = [self._key(0)]
        self._expired_status = 400

    def cursor(self, position: int) -> str:
        """Return the cursor of a position."""
        return self._text(position, self._keys[-1])

    def position(self, cursor: str) -> int:
        """Return the position that a cursor names.

        Raises:
            UnknownCursor: this carrier never gave that cursor out.
            ExpiredCursor: it did, before its cursors expired.
        """
        *earlier, current = self._keys
        position = self._position(cursor, current)
        if position is not None:
            return position
        if any(self._position(cursor, key) is not None for key in earlier):
            raise ExpiredCursor("the cursor has expired", self._expired_status)
        raise UnknownCursor("the cursor is invalid")

    def expire(self, status: int) -> None:
        """Refuse all cursors given out so far, with this status."""
        self._expired_status = status
        self._keys.append(self._key(len(self._keys)))

    def _key(self, generation: int) -> int:
        return seeded_number("cursors", *self._seed, generation) & MASK64

    def _text(self, position: int, key: int) -> str:
        check = mix64(key + position) >> _POSITION_BITS
        return f"{self._prefix}{mix64((check << _POSITION_BITS | position) ^ key):016x}"

    def _position(self, cursor: str, key: int) -> int | None:
        try:
            block = unmix64(int(cursor.removeprefix(self._prefix), 16) & MASK64) ^ key
        except ValueError:
            return None
        position = block & ((1 << _POSITION_BITS) - 1)
        return position if self._text(position, key) == cursor else None
