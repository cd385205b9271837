"""`sim-sync status`: where every carrier's sync stands, read from the checkpoints. Knows no Dagster, no pandas."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from socket import gethostname
from types import MappingProxyType
from typing import Any

from sim_sync.cli.bars import BarLine, bar_line, bars_shown, is_a_terminal
from sim_sync.cli.dagster_home import full_disks, server_is_full
from sim_sync.config import Config, load_config
from sim_sync.core import progress
from sim_sync.core.errors import InputError
from sim_sync.core.held_sweep import held_text
from sim_sync.core.notes import (
    CarrierOverview,
    Rank,
    Urgency,
    concerns,
    freshness_concern,
    is_silent,
    quarantine_concern,
    session_note,
    sweep_text,
    time_text,
    urgency,
)
from sim_sync.core.progress import PastWalk
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted, duration_text, percent_text
from sim_sync.terminal.output import ExitCode, print_json, print_lines
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import WarehouseView, view_warehouse
from sim_sync.warehouse.overviews import carrier_overviews

# How fast a session is beside how long it waits, and whether the pages that it expects are only an estimate.


_KEYS = ("duration_seconds", "pages_per_minute", "pages_expected_is_estimate")


def pace_object(overview: CarrierOverview, now: datetime) -> dict[str, Any]:
    """Return what `status --json` tells beside the columns of the newest session; no values where there is none."""
    newest = overview.newest
    if newest is None:
        return dict.fromkeys(_KEYS)
    values = (
        PastWalk(session=newest).duration_seconds(now),
        progress.pages_per_minute(newest, overview.recent_page_seconds, now),
        overview.expects_estimate,
    )
    return dict(zip(_KEYS, values, strict=True))


def pace_lines(overview: CarrierOverview, now: datetime) -> list[str]:
    """Return the pace and the waits of a session that is open, and where the pages that it expects come from."""
    newest = overview.newest
    if newest is None or not newest.is_open:
        return []
    speed = progress.pages_per_minute(newest, overview.recent_page_seconds, now)
    took = PastWalk(session=newest).duration_seconds(now)
    parts = [
        None if speed is None else f"{speed:g} pages a minute",
        _waited(newest.throttled_seconds, took),
        counted(newest.retries, "retry", "retries") if newest.retries else None,
        _end(overview, newest, now),
        "the pages expected are an estimate from the last walk or our own list" if overview.expects_estimate else None,
    ]
    told = [part for part in parts if part is not None]
    return ["; ".join(told)] if told else []


def _end(overview: CarrierOverview, newest: Session, now: datetime) -> str | None:
    """Return when the walk ends, and between when it may well be."""
    ends_in = progress.remaining(newest, overview.recent_page_seconds, now)
    if ends_in.seconds is None or ends_in.low_seconds is None or ends_in.high_seconds is None:
        return None
    about, first, last = (
        time_text(now + timedelta(seconds=seconds), now)
        for seconds in (ends_in.seconds, ends_in.low_seconds, ends_in.high_seconds)
    )
    return f"ends about {about}, between {first} and {last}"


def _waited(throttled_seconds: float, took: float | None) -> str | None:
    if throttled_seconds < 1 or took is None:
        return None
    return f"throttled {duration_text(throttled_seconds)} of {duration_text(took)}"


# The command: a table of all carriers, those that want a person first, and sentences under it.


_WATCH_EVERY_SECONDS = 2.0
_COLUMNS = tuple(field.name for field in fields(Session))


def show_status(*, carrier: str | None, watch: bool, as_json: bool) -> ExitCode:
    """Print the newest session of each carrier (or of one), once or again and again."""
    if watch and as_json:
        raise InputError("give either --watch or --json: one JSON document cannot be watched")
    config = load_config()
    names = config.names_of(carrier)
    warehouse = view_warehouse(config.warehouse_url)
    if not watch:
        _show(warehouse, config, names, as_json=as_json)
        return ExitCode.DONE
    with suppress(KeyboardInterrupt):  # the way to end it
        if is_a_terminal():
            _watch_bars(warehouse, config, names)
        while True:
            _show(warehouse, config, names, as_json=False)
            time.sleep(_WATCH_EVERY_SECONDS)
    return ExitCode.DONE


def _watch_bars(warehouse: WarehouseView, config: Config, names: Sequence[str]) -> None:
    def look() -> Sequence[BarLine]:
        overviews, now = carrier_overviews(warehouse.engine, names), warehouse.now()
        overviews = without_dead_owners(overviews, now)
        return [bar_line(each, now, todo=todo) for each, (_, todo) in worst_first(overviews, config, now)]

    with bars_shown(look):
        while True:
            time.sleep(_WATCH_EVERY_SECONDS)


def _show(warehouse: WarehouseView, config: Config, names: Sequence[str], *, as_json: bool) -> None:
    overviews = carrier_overviews(warehouse.engine, names)
    now = warehouse.now()
    sessions = [overview.newest for overview in overviews if overview.newest is not None]
    full = full_disks(config.warehouse_url)
    if not full and any(is_silent(session, now) for session in sessions):
        full = server_is_full(warehouse)
    if as_json:
        print_json([_carrier_object(overview, config, now, full) for overview in overviews])
        return
    overviews = without_dead_owners(overviews, now)
    sessions = [overview.newest for overview in overviews if overview.newest is not None]
    _print_table(overviews, config, now)
    print_lines(_notes(sessions, now, nobody_can_write=bool(full)))
    print_lines(full)
    for overview in overviews:
        lines = [*pace_lines(overview, now), *_lines_of(overview, config, now)]
        print_lines(f"{overview.carrier}: {line}" for line in lines)


def without_dead_owners(overviews: Sequence[CarrierOverview], now: datetime) -> Sequence[CarrierOverview]:
    """Return what people are told: an owner whose process is known to be gone from this host is presumed alive no more.

    Its lease may have half a minute left, in which nobody is at work and no end is near.
    """
    return [_told(overview, now) if _may_be_dead(overview, now) else overview for overview in overviews]


def _may_be_dead(overview: CarrierOverview, now: datetime) -> bool:
    """Return whether somebody is to be at work on a host of this name."""
    newest, process = overview.newest, None if overview.internals is None else overview.internals.process
    if newest is None or process is None or newest.state is not State.RUNNING or is_silent(newest, now):
        return False
    return process.host.partition("#")[0] == gethostname()


def _told(overview: CarrierOverview, now: datetime) -> CarrierOverview:
    from sim_sync.worker.processes import is_known_dead  # here, because most carriers are not at work on this host

    if overview.newest is None or overview.internals is None or not is_known_dead(overview.internals.process):
        return overview
    return replace(overview, newest=replace(overview.newest, lease_expires_at=now))


def _lines_of(overview: CarrierOverview, config: Config, now: datetime) -> Sequence[str]:
    """Return what the newest session of a carrier does not tell: what is known of it, and what is unresolved."""
    name, newest, last = overview.carrier, overview.newest, overview.last_completed
    if newest is None or last is None:
        return [text for text in (quarantine_concern(overview),) if text is not None]
    told = [freshness_concern(overview, config.max_age_hours(name), now), quarantine_concern(overview)]
    if newest.session_id != last.session_id:
        told = [f"complete as of {last.finished_at:%Y-%m-%d %H:%M:%S} UTC; {sweep_text(last)}", *told]
    told += _older_sweep(overview, last)
    return [text for text in told if text is not None]


def _older_sweep(overview: CarrierOverview, last: Session) -> Sequence[str]:
    """Return what became of a held sweep of a walk before the last completed one."""
    held, moot = overview.sweeps.held, overview.sweeps.moot
    if held is not None and held.session_id != last.session_id:
        return [f"the sweep of session {held.session_id} is still {held_text(held)}"]
    if moot is not None:
        return [f"a later certified walk has made the held sweep of session {moot.session_id} moot"]
    return []


def _carrier_object(
    overview: CarrierOverview, config: Config, now: datetime, full: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a carrier as `status --json` prints it.

    The columns of its newest session, `percent`, its pace and in how many seconds it will end; and what that session
    does not tell: when the carrier was last walked to its end, and what is unresolved there. A carrier that was never
    synced has no values. `full` says which file systems are full.
    """
    session = overview.newest
    found = dict.fromkeys(_COLUMNS) | {"carrier": overview.carrier} if session is None else asdict(session)
    found["complete_as_of"] = overview.complete_as_of
    ends_in = progress.Remaining()
    if session is not None:
        ends_in = progress.remaining(session, overview.recent_page_seconds, now)
    found["percent"] = None if session is None else progress.percent_of(session)
    found |= {f"eta_{name}": seconds for name, seconds in ends_in._asdict().items()}
    found |= pace_object(overview, now)
    found["unresolved"] = [*full, *concerns(overview, config.max_age_hours(overview.carrier), now)]
    return found


_COLOURS: Mapping[Rank, str] = MappingProxyType(
    {Rank.FAILED: "red", Rank.HELD: "red", Rank.RUNNING: "cyan", Rank.FINE: "green"}
)


def _print_table(overviews: Sequence[CarrierOverview], config: Config, now: datetime) -> None:
    """Print a row for each carrier, those that want a person first."""
    columns = ("carrier", "state", "pages", "%", "records", "retries", "waited", "ends in", "what to do")
    table = narrow_table(*columns, foldable={"carrier", "what to do"})
    for overview, (rank, todo) in worst_first(overviews, config, now):
        cells = _session_cells(overview.newest, now) if overview.newest else ["never synced", *[""] * 6]
        table.add_row(overview.carrier, *cells, todo, colours={"state": _COLOURS.get(rank, "yellow")})
    print_table(table)


def worst_first(
    overviews: Sequence[CarrierOverview], config: Config, now: datetime
) -> Sequence[tuple[CarrierOverview, Urgency]]:
    """Return the carriers with what is to be done at each, the most urgent first; then in the order of the config."""
    judged = [(each, urgency(each, config.max_age_hours(each.carrier), now)) for each in overviews]
    return sorted(judged, key=lambda pair: pair[1].rank)


def _session_cells(session: Session, now: datetime) -> Sequence[str]:
    percent = progress.percent_of(session)
    return [
        session.state.value,
        f"{session.pages_done}/{session.pages_expected or '?'}",
        "?" if percent is None else percent_text(percent).removesuffix(" %"),
        f"{session.records_seen:,}",
        str(session.retries),
        duration_text(session.throttled_seconds),
        _ends_in(session, now),
    ]


def _notes(sessions: Sequence[Session], now: datetime, *, nobody_can_write: bool) -> Iterator[str]:
    """Yield what stands under the table and not in it: these are sentences, and the last error is a long one."""
    for session in sessions:
        # Where nobody can write, a silent run may be alive: it cannot say so.
        if not (nobody_can_write and is_silent(session, now)) and (note := session_note(session, now)):
            yield f"{session.carrier}: {note}"


def progress_text(session: Session, now: datetime, *, is_ours: bool = False) -> str:
    """Return one line about a session for a terminal; of one that this process works on, never that nobody does."""
    percent = progress.percent_of(session)
    share = "" if percent is None else f" ({percent_text(percent)})"
    parts = [
        f"{session.carrier}: {session.state.value}",
        f"page {session.pages_done}/{session.pages_expected or '?'}{share}",
        counted(session.records_seen, "record"),
        counted(session.retries, "retry", "retries"),
        f"waited {duration_text(session.throttled_seconds)}",
    ]
    if ends_in := _ends_in(session, now):
        parts.append(f"ends in {ends_in}")
    note = "" if is_ours and is_silent(session, now) else session_note(session, now)
    return ", ".join(parts) + (f"; {note}" if note else "")


def _ends_in(session: Session, now: datetime) -> str:
    seconds = progress.remaining(session, (), now).seconds
    return "" if seconds is None else duration_text(seconds)
