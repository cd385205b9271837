"""How much work a database does for what it is asked, counted and not timed: the same on a slow machine.

SQLite: steps of its virtual machine. PostgreSQL: rows that the nodes of its plans handle, each time they are run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_STEPS_AT_ONCE = 10
_EXPLAIN = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
_EXPLAINED = ("INSERT INTO", "UPDATE", "DELETE")
_REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")


@dataclass
class Work:
    """Steps or rows so far; comparable with work on the same kind of database only."""

    done: int = 0


@contextmanager
def counted_work(engine: sa.Engine) -> Iterator[Work]:
    """Count the work of the transactions inside. PostgreSQL gets the least memory, so that nothing fits by chance."""
    work = Work()
    counting = _count_steps if engine.dialect.name == "sqlite" else _count_rows
    with counting(engine, work):
        yield work


@contextmanager
def _count_steps(engine: sa.Engine, work: Work) -> Iterator[None]:
    def count() -> int:
        work.done += _STEPS_AT_ONCE
        return 0

    def begin(connection: sa.Connection) -> None:
        connection.connection.driver_connection.set_progress_handler(count, _STEPS_AT_ONCE)  # type: ignore[union-attr]

    with _listening(engine, "begin", begin):
        yield
    engine.dispose()  # no connection continues counting


@contextmanager
def _count_rows(engine: sa.Engine, work: Work) -> Iterator[None]:
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL work_mem = '64kB'")

    def explain(_c: Any, _u: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
        return (_EXPLAIN + statement if statement.startswith(_EXPLAINED) else statement), parameters

    def read(_c: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(_EXPLAIN):
            ((plans,),) = cursor.fetchall()
            work.done += sum(_rows_of(plan["Plan"]) for plan in plans)

    with (
        _listening(engine, "begin", begin),
        _listening(engine, "before_cursor_execute", explain, retval=True),
        _listening(engine, "after_cursor_execute", read),
    ):
        yield


def _rows_of(node: dict[str, Any]) -> int:
    """Return the rows that a node of a plan and those below it handled."""
    rows: float = node["Actual Rows"] + sum(node.get(name, 0) for name in _REMOVED)
    loops: float = node["Actual Loops"]
    return round(rows * loops) + sum(_rows_of(below) for below in node.get("Plans", ()))


@contextmanager
def _listening(engine: sa.Engine, event: str, listener: Callable[..., Any], **options: Any) -> Iterator[None]:
    sa.event.listen(engine, event, listener, **options)
    try:
        yield
    finally:
        sa.event.remove(engine, event, listener)
