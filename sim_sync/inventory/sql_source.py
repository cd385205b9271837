"""Our own list of SIMs from a query on any database that SQLAlchemy has a driver for: cells as text, nothing written.

What the cells mean is decided by `Reading`; this module only knows how to send the query.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.core.inventory import shortened
from sim_sync.inventory.reading import Reading, Terms
from sim_sync.inventory.typed_file import cell_text
from sim_sync.warehouse.failures import passes_by_itself
from sim_sync.warehouse.postgresql import CONNECT_TIMEOUT_SECONDS, parse_url, shown_url

#: Rows that are held at a time: a list of millions must not need gigabytes.
_ROWS_AT_ONCE = 5_000
_IN_QUOTES = re.compile(r'"[^"]*"')
#: PostgreSQL's types that have values for which Python has none.
_TYPES_WITHOUT_A_FORM = ("date", "timestamp", "timestamptz", "time", "timetz", "interval", "json", "jsonb")
#: PostgreSQL's errors about a value, which they quote.
_DATA_EXCEPTION = "22"
_PLAIN_POSTGRESQL = frozenset({"postgresql", "postgres"})
_URL = "expected a SQLAlchemy URL, for example postgresql://reader@host/database"


class SqlSheet(NamedTuple):
    """The answer to a query as an `inventory.Sheet`; its rows count from 1."""

    where: str
    columns: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str], None]]
    place: str = "row"
    advice: str = (
        "it went through a floating-point number: let the query give the column as text, from a column of text"
    )


class SqlList:
    """Our list as the answer to a query."""

    def __init__(self, url: str, query: str, terms: Terms, variable: str | None = None, *, suffix: str = "") -> None:
        """`variable` is the environment variable that the URL came from: then no part of it is ever shown.

        `suffix` tells it from another query on the same database.
        """
        self._url = url
        self._query = query
        self._terms = terms
        self._variable = variable
        self._suffix = suffix

    @property
    def where(self) -> str:
        """See `OurList`."""
        return _Given(_parsed(self._url), self._variable, self._suffix).where

    @property
    def carriers(self) -> Sequence[str]:
        """See `OurList`."""
        return self._terms.carriers

    def digest(self) -> None:
        """Return None: only the database knows whether the answer is the same."""

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Reading]:
        """Send the query for one reading."""
        with open_sql(self._url, self._query, variable=self._variable, suffix=self._suffix) as sheet:
            yield Reading(sheet, self._terms, only)


@contextmanager
def open_sql(url: str, query: str, *, variable: str | None = None, suffix: str = "") -> Iterator[SqlSheet]:
    """Ask a database for our list; the rows come as they are read, inside the `with`.

    Args:
        url: a SQLAlchemy URL; `postgresql://` means psycopg 3. A SQLite file is opened for reading only.
        query: one statement in the database's own words, sent as it is.
        variable: the environment variable that the URL came from; then nothing of the URL is shown.
        suffix: tells it from another query on the same database.

    Raises:
        InventoryError: the database does not take the query or cannot be used. No text contains the password.
        InventoryUnavailable: the database is out of reach, and may not be in a while.
    """
    given = _Given(_parsed(url), variable, suffix)
    engine = _engine(given)
    try:
        with ExitStack() as stack:
            with _translate_inventory_errors(given):
                connection = stack.enter_context(engine.connect())
                result = _reader(connection).exec_driver_sql(query)
                if not result.returns_rows:
                    raise InventoryError(
                        f"the query for the inventory {given.where} gives no rows by its nature: expected a "
                        "SELECT. Correct the inventory's `query`; nothing was written."
                    )
                columns = list(result.keys())
            yield SqlSheet(given.where, columns, _rows(result, given))
    finally:
        engine.dispose()


def _rows(result: sa.CursorResult[Any], given: "_Given") -> Iterator[tuple[int, Sequence[str], None]]:
    with _translate_inventory_errors(given):
        for number, row in enumerate(result, start=1):
            yield number, [cell_text(value) for value in row], None


class _Given(NamedTuple):
    """Where the list is, and the environment variable that says so, if one does."""

    url: sa.URL
    variable: str | None = None
    suffix: str = ""

    @property
    def where(self) -> str:
        """What messages call the list."""
        shown = shown_url(self.url) if self.variable is None else f"{{env: {self.variable}}}"
        return f"of {shown}{self.suffix}"

    def hidden_in(self, text: str) -> str:
        """Return a driver's text without the password, and without any part of a URL that is not to be shown."""
        url = self.url
        parts = [url.password]
        if self.variable is not None:
            parts += [url.render_as_string(hide_password=False), url.host, url.username, url.database]
        for part in parts:
            text = text.replace(part, "***") if part else text
        return text


def _parsed(url: str) -> sa.URL:
    try:
        parsed = parse_url(url)
    except ValueError:
        raise InventoryError(f"the inventory's `url` is not a URL: {_URL}") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in _PLAIN_POSTGRESQL else parsed


def _opened_for_reading(url: sa.URL) -> sa.URL:
    """Return the URL of a SQLite file in the form that neither creates nor changes it."""
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        return url
    path = quote(str(Path(name).absolute()))
    return url.set(database=f"file:{path}").update_query_dict({"mode": "ro", "uri": "true"})


def _engine(given: _Given) -> sa.Engine:
    is_sqlite = given.url.get_backend_name() == "sqlite"
    is_postgresql = given.url.get_backend_name() == "postgresql"
    place = _opened_for_reading(given.url) if is_sqlite else given.url
    patience = {"connect_timeout": CONNECT_TIMEOUT_SECONDS} if is_postgresql else {}
    try:
        engine = sa.create_engine(place, poolclass=sa.NullPool, connect_args=patience)
    except (SQLAlchemyError, ImportError, TypeError) as problem:
        raise InventoryError(
            f"the inventory's `url` {given.where.removeprefix('of ')} cannot be used ({_one_line(problem, given)}): "
            f"{_URL}, with its driver installed"
        ) from None
    if is_sqlite or is_postgresql:
        sa.event.listen(engine, "connect", _take_every_text if is_sqlite else _take_every_value)
    return engine


def _take_every_text(connection: Any, _record: object) -> None:
    """Let SQLite's driver give a text that is no UTF-8 as it can: one such value is a finding, not the end."""
    connection.text_factory = lambda raw: raw.decode(errors="replace")


def _take_every_value(connection: Any, _record: object) -> None:
    """Let psycopg give a value that Python has no form for, such as the date `infinity`, as the database writes it."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    adapters = connection.adapters

    class AsWritten(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode()

    def lenient(strict: Any) -> type[Loader]:
        class Lenient(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._load = strict(oid, context).load

            def load(self, data: Any) -> Any:
                try:
                    return self._load(data)
                except Exception:  # noqa: BLE001 - whatever it is, the database's own text is the value
                    return bytes(data).decode(errors="replace")

        return Lenient

    # Of a `real`, only what the database itself writes tells how many digits there are.
    adapters.register_loader(adapters.types["float4"].oid, AsWritten)
    for name in _TYPES_WITHOUT_A_FORM:
        oid = adapters.types[name].oid
        adapters.register_loader(oid, lenient(adapters.get_loader(oid, Format.TEXT)))


def _reader(connection: sa.Connection) -> sa.Connection:
    # Without parameters the query is sent as it is: a per cent sign or a colon in it is nobody's placeholder.
    options: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS_AT_ONCE, "no_parameters": True}
    if connection.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return connection.execution_options(**options)


@contextmanager
def _translate_inventory_errors(given: _Given) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as problem:
        told = (
            f"the inventory {given.where} cannot be read ({_one_line(problem, given)}): expected a database that "
            "takes the query. Correct the inventory's `url` and `query`, or bring the database there; nothing was "
            "written."
        )
        if isinstance(problem, DBAPIError) and passes_by_itself(problem):
            raise InventoryUnavailable(told) from None
        raise InventoryError(told) from None


def _one_line(problem: BaseException, given: _Given) -> str:
    """Return what the driver says in one sentence, without the query and without anything of a row."""
    told: Any = problem.orig if isinstance(problem, DBAPIError) else problem
    text = getattr(getattr(told, "diag", None), "message_primary", None) or str(told)
    if str(getattr(told, "sqlstate", "")).startswith(_DATA_EXCEPTION):
        text = _IN_QUOTES.sub('"..."', text)
    return shortened(given.hidden_in(" ".join(text.split())), 300)
