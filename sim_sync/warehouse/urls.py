"""URLs of databases: parsed, checked before anything is opened, and shown without their secrets."""

from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sim_sync.core.errors import ConfigError, Problem

SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_EXPECTED = "a SQLAlchemy URL such as sqlite:///warehouse.db or postgresql://user:password@host/database"
#: What Python's driver takes, and with `uri=true` SQLite itself (https://www.sqlite.org/uri.html).
_SQLITE_OPTIONS = frozenset({"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})
_SQLITE_FILE_OPTIONS = frozenset({"uri", "mode", "cache", "vfs", "psow", "nolock", "immutable", "modeof"})


def parse_url(url: str) -> sa.URL:
    """Return a URL in the one form in which its password is never shown.

    Raises:
        ValueError: it is not a URL. The text is not repeated, for it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("expected a SQLAlchemy URL") from None
    if "@" in (parsed.host or ""):  # the rest of a password would be taken for a host, and shown
        raise ValueError("expected a SQLAlchemy URL in whose password an @ is written as %40")
    if "password" not in parsed.query:
        return parsed
    # libpq takes it there too, but SQLAlchemy hides it only where it expects it.
    password = str(parsed.query["password"])
    return parsed.difference_update_query(["password"]).set(password=password)


def warehouse_url(url: str) -> sa.URL:
    """Return the URL of a warehouse.

    Raises:
        ConfigError: it is not a URL, of neither database, in memory, or has an option that its database does not know.
    """
    try:
        parsed = parse_url(url)
    except ValueError as problem:
        expected = f"{_EXPECTED}; an @ in the password is written as %40" if "%40" in str(problem) else _EXPECTED
        raise _problem(expected, "something that is not a URL") from None
    if parsed.drivername not in SQLITE and parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise _problem(_EXPECTED, parsed.drivername)
    if parsed.drivername in SQLITE and _is_in_memory(parsed):
        raise _problem("a URL that names a file", "a database in memory, which ends with its process")
    _refuse_unknown_options(parsed)
    return parsed


def shown_url(url: sa.URL) -> str:
    """Return a URL for people: where the warehouse is, without any secret."""
    place = {name: value for name, value in url.query.items() if name in {"host", "port", "mode", "uri"}}
    return url.set(query=place).render_as_string(hide_password=True)


def create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """Return an engine whose errors show no values of rows.

    Raises:
        ConfigError: the URL cannot be used.
    """
    try:
        return sa.create_engine(url, hide_parameters=True, **options)
    except (SQLAlchemyError, ValueError, TypeError) as problem:
        found = str(problem).partition("\n")[0].replace(str(url.password), "***")
        raise _problem(_EXPECTED, found) from None


def _is_in_memory(url: sa.URL) -> bool:
    return url.database in {None, "", ":memory:", "file::memory:"} or url.query.get("mode") == "memory"


def _refuse_unknown_options(url: sa.URL) -> None:
    known = _sqlite_options(url) if url.drivername in SQLITE else _postgresql_options()
    for name in url.query:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            expected = f"options of {'SQLite' if url.drivername in SQLITE else 'PostgreSQL'}"
            raise _problem(expected, f"the unknown option {name!r}" + (f"; did you mean {near[0]}?" if near else ""))


def _sqlite_options(url: sa.URL) -> frozenset[str]:
    return _SQLITE_OPTIONS | (_SQLITE_FILE_OPTIONS if "uri" in url.query else {"uri"})


def _postgresql_options() -> frozenset[str]:
    from psycopg.pq import Conninfo

    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def _problem(expected: str, found: str) -> ConfigError:
    return ConfigError([Problem("warehouse", "url", expected, found)])
