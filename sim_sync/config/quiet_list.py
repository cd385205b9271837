"""Our list, whose messages name the variables of the environment and not what they hold."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sim_sync.config.environment import KeyPath, Resolved
from sim_sync.core.errors import InventoryError
from sim_sync.inventory.reading import Entries, OurList


class QuietList:
    """`OurList` by way of another one; `part` is the section of the file that describes it, and stands at `at`."""

    def __init__(self, our_list: OurList, part: Resolved, at: KeyPath) -> None:
        self._list = our_list
        self._part = part
        self._at = at

    @property
    def where(self) -> str:
        """See `OurList`."""
        with self._told_quietly():
            return self._list.where

    @property
    def carriers(self) -> Sequence[str]:
        """See `OurList`."""
        return self._list.carriers

    def digest(self) -> str | None:
        """See `OurList`."""
        with self._told_quietly():
            return self._list.digest()

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Entries]:
        """See `OurList`."""
        with self._told_quietly(), self._list.opened(only) as reading:
            yield reading

    @contextmanager
    def _told_quietly(self) -> Iterator[None]:
        try:
            yield
        except InventoryError as error:
            error.args = (self._part.without_values(str(error), self._at), *error.args[1:])
            raise
