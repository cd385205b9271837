"""A list as it came: rows of text cells under named columns, from a file or a query."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from sim_sync.core.inventory import FindingKind


class Damage(NamedTuple):
    """What is wrong with a row as it came. `columns` are the places that it concerns; None is the whole row."""

    kind: FindingKind
    reason: str
    columns: frozenset[int] | None = None


#: Its number, its cells in the order of the columns, and what is wrong with it. Beyond the columns there are cells only
#: where the row has more of them than the header; a row of a file may have fewer.
SheetRow: TypeAlias = tuple[int, Sequence[str], Damage | None]


class Sheet(Protocol):
    """A list as it came. `where` is what messages call it, `place` what they call the place of a row."""

    @property
    def where(self) -> str:
        """What messages call the list; nothing secret."""

    @property
    def place(self) -> str:
        """`line` of a file or `row` of a query."""

    @property
    def columns(self) -> Sequence[str]:
        """The names in the header."""

    @property
    def rows(self) -> Iterable[SheetRow]:
        """The rows, each once."""

    @property
    def advice(self) -> str:
        """What to do where numbers were rounded."""
