"""Our own list of SIMs from a query on any database that SQLAlchemy has a driver for: cells as text, nothing written.

What the cells mean is decided in the room `inventory`; this module only knows how to ask.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sim_sync.core.errors import InventoryError
from sim_sync.core.pages import canonical_json
from sim_sync.warehouse.postgresql import CONNECT_TIMEOUT_SECONDS
from sim_sync.warehouse.urls import parse_url, shown_url

#: Rows that are held at a time: a list of millions must not need gigabytes.
_ROWS_AT_ONCE = 5_000
_PLAIN_POSTGRESQL = frozenset({"postgresql", "postgres"})
_URL = "expected a SQLAlchemy URL, for example postgresql://reader@host/database"


class SqlSheet(NamedTuple):
    """The answer to a query as an `inventory.Sheet`; its rows count from 1."""

    where: str
    columns: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str]]]


@contextmanager
def open_sql(url: str, query: str) -> Iterator[SqlSheet]:
    """Ask a database for our list; the rows come as they are read, inside the `with`.

    Args:
        url: a SQLAlchemy URL; `postgresql://` means psycopg 3. A SQLite file is opened for reading only.
        query: one statement in the database's own words, sent as it is.

    Raises:
        InventoryError: the database cannot be reached or does not take the query. No text contains the password.
    """
    given = _parsed(url)
    engine = _engine(given)
    try:
        with _told_as_inventory_error(given), engine.connect() as connection:
            result = _reader(connection).exec_driver_sql(query)
            if not result.returns_rows:
                raise InventoryError(
                    f"the query for the inventory of {shown_url(given)} gives no rows by its nature: expected a "
                    "SELECT. Correct the inventory's `query`; nothing was written."
                )
            rows = ((number, [_text(value) for value in row]) for number, row in enumerate(result, start=1))
            yield SqlSheet(f"of {shown_url(given)}", list(result.keys()), rows)
    finally:
        engine.dispose()


def _parsed(url: str) -> sa.URL:
    try:
        parsed = parse_url(url)
    except ValueError:
        raise InventoryError(f"the inventory's `url` is no URL: {_URL}") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in _PLAIN_POSTGRESQL else parsed


def _opened_for_reading(url: sa.URL) -> sa.URL:
    """Return the URL of a SQLite file in the form that neither creates nor changes it."""
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        return url
    path = quote(str(Path(name).absolute()))
    return url.set(database=f"file:{path}").update_query_dict({"mode": "ro", "uri": "true"})


def _engine(url: sa.URL) -> sa.Engine:
    place = _opened_for_reading(url) if url.get_backend_name() == "sqlite" else url
    patience = {"connect_timeout": CONNECT_TIMEOUT_SECONDS} if url.get_backend_name() == "postgresql" else {}
    try:
        return sa.create_engine(place, poolclass=sa.NullPool, connect_args=patience)
    except (SQLAlchemyError, ImportError, TypeError) as problem:
        raise InventoryError(
            f"the inventory's `url` {shown_url(url)} cannot be used ({_one_line(problem, url)}): {_URL}, with its "
            "driver installed"
        ) from None


def _reader(connection: sa.Connection) -> sa.Connection:
    # Without parameters the query is sent as it is: a per cent sign or a colon in it is nobody's placeholder.
    options: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS_AT_ONCE, "no_parameters": True}
    if connection.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return connection.execution_options(**options)


@contextmanager
def _told_as_inventory_error(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as problem:
        raise InventoryError(
            f"the inventory of {shown_url(url)} cannot be read ({_one_line(problem, url)}): expected a database that "
            "takes the query. Correct the inventory's `url` and `query`, or bring the database there; nothing was "
            "written."
        ) from None


def _one_line(problem: BaseException, url: sa.URL) -> str:
    told = problem.orig if isinstance(problem, DBAPIError) else problem
    text = " ".join(str(told).split())
    return text.replace(str(url.password), "***") if url.password else text


def _text(value: Any) -> str:
    """Return a value as the text of a cell; a number that has lost digits looks like it, and is refused later."""
    if value is None:
        return ""
    return next((write(value) for kinds, write in _WRITTEN if isinstance(value, kinds)), str(value))


def _text_of_bytes(value: bytes | bytearray | memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).hex()


#: How values of a kind are written where `str` is not the way.
_WRITTEN: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((bool,), lambda value: "true" if value else "false"),
    ((Decimal,), lambda value: format(value, "f")),
    ((float,), repr),
    ((datetime, date, time), lambda value: str(value.isoformat())),
    ((bytes, bytearray, memoryview), _text_of_bytes),
    ((list, tuple, dict), canonical_json),
)
