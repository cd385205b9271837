"""What walks leave in the database: WAL, row versions and the size of the table; and the floor that no walk gets under.

The floor is the database's own: the finished rows copied or upserted, a thousand a transaction, and nothing else.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.warehouse.engine import open_engine
from sim_sync_tests.bench.contenders import Build, this_build
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases, recorded_fleet
from sim_sync_tests.fakes.databases import fresh_postgres_database

_PAGE = 1000
_UPDATES = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'carrier_sims'"
_HEAP = "SELECT pg_relation_size('carrier_sims')"


def wal(others: Sequence[Build], sims: int, nights: int) -> Iterator[Figure]:
    """Measure WAL, row versions and the table's size over some nights in which nothing changes, in PostgreSQL."""
    with databases() as urls, recorded_fleet(sims) as carrier_url:
        _write_full_pages(urls["PostgreSQL"])
        heaps = {}
        for build in (this_build(), *others):
            with fresh_postgres_database(urls["PostgreSQL"]) as url:
                figures, heaps[build.name] = _nights(build, carrier_url, url, sims, nights)
                yield from figures
    ours = heaps.pop(this_build().name)
    for name, heap in heaps.items():
        yield Figure(f"PostgreSQL: heap after {nights} nights, against {name}", ours / heap, "x", at_most=0.65)


def _nights(build: Build, carrier_url: str, url: str, sims: int, nights: int) -> tuple[list[Figure], float]:
    is_ours = build.name == this_build().name
    suffix = "" if is_ours else f" by {build.name}"
    build.walk(carrier_url, url)
    first, updated = _asked(url, _HEAP), _asked(url, _UPDATES)
    spent = []
    for _ in range(nights):
        _asked(url, "CHECKPOINT")
        before = _asked(url, "SELECT pg_current_wal_lsn()")
        build.walk(carrier_url, url)
        spent.append(_asked(url, f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before}')"))
    heap, written = _asked(url, _HEAP), _asked(url, _UPDATES) - updated
    what = f"PostgreSQL: %s of an unchanged re-walk{suffix}"
    figures = [
        Figure(what % "WAL after a checkpoint", float(max(spent)) / sims, "B a SIM", at_most=60 if is_ours else None),
        Figure(what % "row versions", written / nights / sims, "a SIM", at_most=0 if is_ours else None),
        Figure(f"PostgreSQL: heap{suffix}", heap / sims, "B a SIM"),
        Figure(f"PostgreSQL: heap after {nights} nights{suffix}", heap / first, "x", at_most=1 if is_ours else None),
    ]
    return figures, float(heap)


def _write_full_pages(url: str) -> None:
    """Let the server write whole pages after a checkpoint, as every server does that is not thrown away."""
    _asked(url, "ALTER SYSTEM SET full_page_writes = on")
    _asked(url, "SELECT pg_reload_conf()")


def _asked(url: str, query: str) -> Any:
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        found = connection.exec_driver_sql(query)
        return found.scalar() if found.returns_rows else None


#: One page of finished rows into the database, in one transaction: the driver's connection, the columns, the rows.
_Taker = Callable[[Any, Sequence[str], Sequence[tuple[Any, ...]]], None]


def floor(sims: int) -> Iterator[Figure]:
    """Measure how fast each database takes the rows of a walk as they are, new or known, a page a transaction."""
    with databases() as urls, recorded_fleet(sims) as carrier_url:
        this_build().walk(carrier_url, urls["SQLite"].replace("warehouse", "recording"))
        for database, url in urls.items():
            walk = this_build().walk(carrier_url, url)
            new, known = _bare(url, *((_copied, _merged) if database == "PostgreSQL" else (_inserted, _upserted)))
            yield Figure(f"{database}: floor, bare writing of {sims:,} finished rows", sims / new, "SIMs/s")
            yield Figure(f"{database}: floor, bare upsert of the same rows", sims / known, "SIMs/s")
            yield Figure(f"{database}: share of the bare writing rate of a first walk", walk.rate * new / sims, "x")


def _bare(url: str, take_new: _Taker, take_known: _Taker) -> tuple[float, float]:
    """Take all rows out of the table, and return the seconds of writing them as new ones, and then as known ones."""
    engine = open_engine(url)
    names = [column["name"] for column in sa.inspect(engine).get_columns("carrier_sims")]
    suffix = "::text" if engine.dialect.name == "postgresql" else ""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    cursor = connection.cursor()
    rows = cursor.execute(f"SELECT {', '.join(name + suffix for name in names)} FROM carrier_sims").fetchall()
    cursor.execute("DELETE FROM carrier_sims")
    connection.commit()
    seconds = [_seconds(take, connection, names, rows) for take in (take_new, take_known)]
    pooled.close()
    engine.dispose()
    return seconds[0], seconds[1]


def _seconds(take: _Taker, connection: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> float:
    started = time.perf_counter()
    for start in range(0, len(rows), _PAGE):
        connection.execute("BEGIN")
        take(connection, names, rows[start : start + _PAGE])
        connection.commit()
    return time.perf_counter() - started


def _copied(connection: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]], into: str = "carrier_sims") -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {into} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _merged(connection: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    connection.execute("CREATE TEMPORARY TABLE page (LIKE carrier_sims) ON COMMIT DROP")
    _copied(connection, names, rows, "page")
    connection.execute(f"INSERT INTO carrier_sims SELECT * FROM page {_on_conflict(names)}")


def _inserted(connection: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    connection.executemany(f"INSERT INTO carrier_sims ({', '.join(names)}) VALUES ({_marks(names)})", rows)


def _upserted(connection: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    statement = f"INSERT INTO carrier_sims ({', '.join(names)}) VALUES ({_marks(names)}) {_on_conflict(names)}"
    connection.executemany(statement, rows)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" for _ in names)


def _on_conflict(names: Sequence[str]) -> str:
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in {"carrier", "sim_id"})
    return f"ON CONFLICT (carrier, sim_id) DO UPDATE SET {changed}"
