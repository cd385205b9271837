"""A list as it came: its rows, and which of its columns means what. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple, Protocol, TypeAlias

from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import OUR_COLUMNS, FindingKind
from sim_sync.core.storable import is_secret_key
from sim_sync.inventory.values import unmarked

# A list as it came: rows of text cells under named columns, from a file or a query.


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


# Which column of a list means what. A header that does not have what the config names is refused as a whole. Pure.


_BLANKS = re.compile(r"\s+")


class Layout(NamedTuple):
    """Where in a row our columns stand; those without a meaning to us are `extra`, but for those that name a secret.

    `twins` are the further places of a column whose name stands more than once in the header.
    """

    width: int
    ours: Mapping[str, int]
    extra: Sequence[tuple[str, int]]
    names: Mapping[str, str]
    twins: Mapping[str, Sequence[int]]


def header_name(text: str) -> str:
    """Return a column's name without what nobody sees in it: blanks round it, line ends and double blanks inside."""
    return _BLANKS.sub(" ", unmarked(text)).strip()


def places_of(columns: Sequence[str], name: str) -> Sequence[int]:
    """Return where a column stands: under the very name, or else under the same name in other case."""
    wanted = header_name(name)
    exact = [at for at, found in enumerate(columns) if found == wanted]
    return exact or [at for at, found in enumerate(columns) if found.casefold() == wanted.casefold()]


def lay_out(sheet: Sheet, columns: Mapping[str, str], carriers: Sequence[str]) -> Layout:
    """Return where our columns stand in a sheet.

    Raises:
        InventoryError: the mapping is none, or the header lacks a mapped column.
    """
    _refuse_mapping(sheet, columns, carriers)
    header = [header_name(name) for name in sheet.columns]
    places = {ours: places_of(header, theirs) for ours, theirs in columns.items()}
    _refuse_missing(sheet, {ours: theirs for ours, theirs in columns.items() if not places[ours]})
    taken = {at for found in places.values() for at in found}
    return Layout(
        width=len(header),
        ours={ours: found[0] for ours, found in places.items()},
        extra=list(_extra_columns(header, taken)),
        names={ours: header[found[0]] for ours, found in places.items()},
        twins={ours: found[1:] for ours, found in places.items() if len(found) > 1},
    )


def _refuse_mapping(sheet: Sheet, columns: Mapping[str, str], carriers: Sequence[str]) -> None:
    if "iccid" not in columns and "eid" not in columns:
        raise InventoryError(
            "the inventory's `columns` do not say which column holds the ICCID: add `iccid: <column>`, or "
            "`eid: <column>` where our list names eUICCs and not their profiles"
        )
    if strange := [name for name in columns if name not in OUR_COLUMNS]:
        raise InventoryError(f"the inventory's `columns` may map {', '.join(OUR_COLUMNS)}; found {', '.join(strange)}")
    if secret := [theirs for theirs in columns.values() if is_secret_key(theirs)]:
        raise InventoryError(
            f"the inventory's `columns` name {quoted(secret)}: PINs, PUKs and keys of cards are never stored; leave "
            "the column out"
        )
    if "carrier" not in columns and len(carriers) != 1:
        raise InventoryError(
            f"the inventory {sheet.where} has no column mapped to `carrier`, and {len(carriers)} carriers are "
            "configured: add `carrier: <column>` to the inventory's `columns`"
        )


def _refuse_missing(sheet: Sheet, missing: Mapping[str, str]) -> None:
    if not missing:
        return
    found = {name.casefold(): name for name in sheet.columns}
    told = []
    for ours, theirs in missing.items():
        near = get_close_matches(theirs.casefold(), found, n=1, cutoff=0.6)
        told.append(f"{theirs!r} (our {ours}" + (f"; did you mean {found[near[0]]!r}?)" if near else ")"))
    message = (
        f"the inventory {sheet.where} lacks the column{'s' if len(told) > 1 else ''} {', '.join(told)}. "
        f"Columns found: {quoted(sheet.columns)}. Correct the inventory's `columns` or the list's header."
    )
    if len(sheet.columns) == 1 and (other := next((mark for mark in ";\t|," if mark in sheet.columns[0]), None)):
        message += f" The header looks as if cells were separated by {other!r}: set the inventory's `delimiter`."
    raise InventoryError(message)


def _extra_columns(columns: Sequence[str], taken: set[int]) -> Iterator[tuple[str, int]]:
    """Name the columns without a meaning to us; one without a name, or with another's, gets its place for a name.

    PINs, PUKs and keys of cards are left out: nobody compares them, and the warehouse is no place for them.
    """
    named: dict[str, int] = {}
    for at, name in enumerate(columns):
        if at not in taken and not is_secret_key(name):
            named[name if name and name not in named else f"column {at + 1}"] = at
    return iter(named.items())


def quoted(names: Sequence[str], most: int = 50) -> str:
    """Return names for a message."""
    told = [repr(name[:60]) for name in names[:most]]
    return ", ".join([*told, "..."] if len(names) > most else told)
