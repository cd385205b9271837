"""Past walks and what the carriers changed: `sim-sync sessions`, `sim-sync changes`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sim_sync.cli.exports import ListFormat, export, require_exportable
from sim_sync.config import load_config
from sim_sync.core import progress
from sim_sync.core.clocks import parse_since
from sim_sync.core.errors import InputError
from sim_sync.core.notes import error_text, time_text
from sim_sync.core.progress import PastWalk
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted, duration_text
from sim_sync.terminal.output import ExitCode, print_json, print_lines
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import open_warehouse_to_read
from sim_sync.warehouse.changes import FIELDS, Change, changes, explain_drift
from sim_sync.warehouse.overviews import past_walks

# `sim-sync sessions`: the past walks, the newest first, and whether the newest ones took longer than usual.


def show_sessions(*, carrier: str | None, last: int, as_json: bool) -> ExitCode:
    """Print the last walks of all carriers, or of one."""
    config = load_config()
    carriers = config.names_of(carrier)
    warehouse = open_warehouse_to_read(config.warehouse_url)
    walks = past_walks(warehouse.engine, carriers, last)
    now = warehouse.sessions.now()
    if as_json:
        print_json([_walk_object(walk, now) for walk in walks])
    elif walks:
        _print_walks(walks, now)
        print_lines(_lines(walks, now))
    else:
        print_lines(["no walk yet; `sim-sync backfill --all` starts one of each carrier"])
    return ExitCode.DONE


def _walk_object(walk: PastWalk, now: datetime) -> dict[str, Any]:
    """Return a walk as `sessions --json` prints it: the columns of its session, and what the history tells of it."""
    return asdict(walk.session) | {
        "sims_seen": walk.sims_seen,
        "resumes": walk.resumes,
        "duration_seconds": walk.duration_seconds(now),
        "usual_seconds": walk.usual_seconds,
    }


def _print_walks(walks: Sequence[PastWalk], now: datetime) -> None:
    table = narrow_table(
        *("carrier", "started", "took", "pages", "SIMs", "changes", "retries", "waited", "resumes", "outcome"),
        foldable={"carrier", "started", "changes", "outcome"},
    )
    for walk in walks:
        session, took = walk.session, walk.duration_seconds(now)
        table.add_row(
            session.carrier,
            f"{session.started_at:%Y-%m-%d %H:%M}",
            "?" if took is None else duration_text(took),
            str(session.pages_done),
            str(session.records_seen if walk.sims_seen is None else walk.sims_seen),
            f"+{session.records_added} ~{session.records_changed}",
            str(session.retries),
            duration_text(session.throttled_seconds),
            str(walk.resumes),
            _outcome(session),
        )
    print_table(table)


def _outcome(session: Session) -> str:
    if session.state is State.COMPLETED:
        return f"completed, sweep {session.sweep_state.value}"
    return session.state.value


def _lines(walks: Sequence[PastWalk], now: datetime) -> Iterator[str]:
    """Yield what is no cell: how the newest walk of each carrier compares, and the last error of every walk."""
    newest = {walk.session.carrier: walk for walk in reversed(walks)}
    for walk in walks:
        is_newest = newest[walk.session.carrier] is walk
        if is_newest and (text := comparison_text(walk, now)) is not None:
            yield f"{walk.session.carrier}: {text}"
    for walk in walks:
        if walk.session.last_error:
            at = time_text(walk.session.last_error_at, None)
            yield f"{walk.session.session_id}: last error at {at}: {error_text(walk.session)}"


def comparison_text(walk: PastWalk, now: datetime) -> str | None:
    """Return how long a walk takes beside what is usual, or None where there is nothing to compare.

    Of one that is not over, the time that it will have taken is compared, where its end is known: what it has taken
    until now is no whole walk.
    """
    took, usual, session = walk.duration_seconds(now), walk.usual_seconds, walk.session
    if took is None or usual is None or session.state is State.SUPERSEDED:
        return None
    if session.state is State.COMPLETED:
        return f"took {duration_text(took)}, {_beside(walk, took, usual)}"
    so_far = f"{session.state.value}, {duration_text(took)} so far"
    ends_in = progress.remaining(session, (), now).seconds
    if ends_in is None:
        return f"{so_far}, {_beside(walk, took, usual)}" if took > usual else f"{so_far}, of {_usual(walk, usual)}"
    return f"{so_far}, about {duration_text(took + ends_in)} in all, {_beside(walk, took + ends_in, usual)}"


def _beside(walk: PastWalk, seconds: float, usual: float) -> str:
    return f"{seconds / usual:.1f} times {_usual(walk, usual)}" if usual > 0 else f"beside {_usual(walk, usual)}"


def _usual(walk: PastWalk, usual: float) -> str:
    count = len(walk.earlier_seconds)
    of = "one completed walk" if count == 1 else f"median of {counted(count, 'completed walk')}"
    return f"the usual {duration_text(usual)} ({of} before it)"


# `sim-sync changes`: what the carriers have changed, for eyes, spreadsheets and scripts.


#: A terminal shows this many rows; the other formats show all.
_SHOWN_IN_TABLE = 200


def show_changes(
    *, carrier: str | None, since: str | None, field: str | None, form: ListFormat, output: Path | None = None
) -> ExitCode:
    """Print what changed at all carriers, or at one, the newest first, in one of the formats, or write it to a file."""
    config = load_config()
    carriers = config.names_of(carrier)
    if field is not None and field not in FIELDS:
        raise InputError(f"no field {field!r} whose changes are kept; there are: {', '.join(FIELDS)}")
    require_exportable(form, output)
    warehouse = open_warehouse_to_read(config.warehouse_url)
    begin = None if since is None else parse_since(since, warehouse.sessions.now())
    rows = changes(warehouse.engine, carriers, since=begin, field=field)
    if form != "table":
        export(form, Change._fields, rows, output)
        return ExitCode.DONE
    _print_changes(rows)
    for name in carriers:
        told = explain_drift(warehouse.engine, name, since=begin, field=field)
        print_lines(f"{name}: {sentence}" for sentence in told)
    return ExitCode.DONE


def _print_changes(rows: Iterator[Change]) -> None:
    columns = ("UTC", "carrier", "SIM", "what", "was", "is")
    table, count = narrow_table(*columns, foldable={"UTC", "carrier", "SIM", "was", "is"}), 0
    for count, row in enumerate(rows, start=1):
        if count <= _SHOWN_IN_TABLE:
            at = f"{row.changed_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(at, row.carrier, row.iccid or row.sim_id, row.field, row.old_value, _new(row))
    if table.row_count:
        print_table(table)
    rest = f"; the table shows the newest {_SHOWN_IN_TABLE}, --format csv shows all" if count > _SHOWN_IN_TABLE else ""
    print_lines([f"{counted(count, 'change')}{rest}"])


def _new(row: Change) -> str | None:
    """Return the new value; of a decision also who made it and why."""
    if row.sweep_decided_by is None:
        return row.new_value
    reason = f": {row.sweep_decision_reason}" if row.sweep_decision_reason else ""
    return f"{row.new_value} by {row.sweep_decided_by}{reason}"
