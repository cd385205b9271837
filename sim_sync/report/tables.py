"""The tables of a report as rows of texts, each with what it is sorted by. How a table looks is in the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A cell: its text, what it sorts by where that is not the text, and a share from 0 to 1 that is drawn as a bar."""

    text: str
    order: str | float | None = None
    share: float | None = None
    tone: str = ""


class Column(NamedTuple):
    """A column: its heading, and whether it holds numbers, which stand below each other at their last digit."""

    name: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """A table: an `anchor` for links, a title, its columns and rows, and what has to be said below it.

    `is_filtered` offers a field to filter by. `empty` is said in the place of a table without rows.
    """

    anchor: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    empty: str = "None."
    is_filtered: bool = False


def number(value: float) -> Cell:
    """Return a count as people read it."""
    return Cell(f"{value:,}", value, tone="" if value else "zero")


def text(value: Any, tone: str = "") -> Cell:
    """Return a text; None is an empty cell."""
    return Cell("" if value is None else str(value), tone=tone)


def moment(at: datetime | None) -> Cell:
    """Return a time in UTC, to the minute."""
    return Cell("never", 0.0, tone="warn") if at is None else Cell(f"{at:%Y-%m-%d %H:%M}", at.timestamp())


def share(value: int, of: int) -> Cell:
    """Return a count beside its bar: its share of the whole."""
    part = value / of if of else 0.0
    return Cell(f"{value:,}", value, part)
