"""Our own list of SIMs in the warehouse: its rows, its unusable rows, and what was loaded last."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.errors import InventoryError, InventoryHeld
from sim_sync.core.inventory import MIN_PERCENT_OF_LAST, Entry, Finding
from sim_sync.core.text import counted
from sim_sync.warehouse.engine import UtcDateTime, read_clock, reading, translate_db_errors
from sim_sync.warehouse.inventory_staging import TOLD, Staged, Staging, drop_tables, listed
from sim_sync.warehouse.inventory_staging import findings as staged
from sim_sync.warehouse.knowledge import note_list_change
from sim_sync.warehouse.tables import inventory_findings, inventory_loads, inventory_sims
from sim_sync.warehouse.temporary import lock_comparison, lock_list

# What of our list could not be used (`inventory_findings`), and what was loaded last (`inventory_loads`).


_found = inventory_findings.c
_loads = inventory_loads.c


class LoadNote(NamedTuple):
    """What is remembered of a load: the digest of what was loaded, if it has one, and what was told about it."""

    digest: str | None
    report: Mapping[str, Any]


class LastLoad(NamedTuple):
    """What was told about the load that still stands, and when that was."""

    report: Mapping[str, Any]
    loaded_at: datetime


def unchanged_load(engine: sa.Engine, carrier: str, digest: str) -> LastLoad | None:
    """Return the carrier's last load if it was of the same list, and the table still has as many rows as it left."""
    with reading(engine, f"looking up what was loaded for carrier {carrier}") as connection:
        query = sa.select(inventory_loads).where(_loads.carrier == carrier, _loads.digest == digest)
        last = connection.execute(query).one_or_none()
        if last is None or last.rows_left != _rows_of(connection, carrier):
            return None
        return LastLoad(last.report, last.loaded_at)


def write_note(connection: sa.Connection, carrier: str, source: str, note: LoadNote | None, now: datetime) -> None:
    """Remember a load in the place of the one before it."""
    connection.execute(inventory_loads.delete().where(_loads.carrier == carrier))
    if note is not None:
        row = {"carrier": carrier, "source": source, "digest": note.digest, "report": dict(note.report)}
        rows_left = _rows_of(connection, carrier)
        connection.execute(inventory_loads.insert().values(**row, rows_left=rows_left, loaded_at=now))


class ListState(NamedTuple):
    """The list of a carrier that counts: since when, and which newer one is not taken, why and since when."""

    loaded_at: datetime
    refused_at: datetime | None
    refusal: str | None


def list_states(engine: sa.Engine, carriers: Collection[str]) -> Mapping[str, ListState]:
    """Return the state of each carrier's list, of those that have one."""
    query = sa.select(_loads.carrier, _loads.loaded_at, _loads.refused_at, _loads.refusal)
    with reading(engine, "reading what was loaded of our lists") as connection:
        rows = connection.execute(query.where(_loads.carrier.in_(list(carriers)))).all()
    return {carrier: ListState(*state) for carrier, *state in rows}


def note_refusal(connection: sa.Connection, carrier: str, refusal: str, now: datetime) -> None:
    """Remember that a list is not taken, since when, and that the next one is to be read whatever it is."""
    since = sa.func.coalesce(_loads.refused_at, sa.literal(now, UtcDateTime()))
    update = inventory_loads.update().where(_loads.carrier == carrier)
    connection.execute(update.values(refused_at=since, refusal=refusal, digest=None))


def write_findings(
    connection: sa.Connection,
    carrier: str,
    sources: Collection[str],
    all_sources: Collection[str] | None,
    now: datetime,
) -> None:
    """Make the table say what the findings of a carrier's lists are now, also of rows that name no carrier of ours.

    A finding that was there already stays as it is: `found_at` is when it was first found. Of rows that name no
    carrier, those of `sources` are found by this load, and those of lists that are none of `all_sources` by none.
    """
    # Rows that name no carrier are found by every carrier's load.
    lock_list(connection)
    key = sa.and_(*(_found[name] == staged.c[name] for name in ("source", "row_number", "column_name")))
    same = sa.and_(key, *(_found[name].is_not_distinct_from(staged.c[name]) for name in ("carrier", "reason")))
    read_now = _found.source.in_(list(sources))
    is_past = sa.true() if all_sources is None else _found.source.not_in(list(all_sources))
    of_this_load = sa.or_(_found.carrier == carrier, sa.and_(_found.carrier.is_(None), sa.or_(read_now, is_past)))
    is_told = sa.exists().where(same).correlate(inventory_findings)
    connection.execute(inventory_findings.delete().where(of_this_load, ~is_told))
    is_there = sa.exists().where(key).correlate(staged)
    payload = staged.c.payload if connection.dialect.name == "sqlite" else sa.cast(staged.c.payload, sa.JSON())
    new = sa.select(
        staged.c.source,
        staged.c.row_number,
        staged.c.column_name,
        staged.c.carrier,
        staged.c.reason,
        payload,
        sa.literal(now, UtcDateTime()),
    ).where(~is_there)
    columns = ["source", "row_number", "column_name", "carrier", "reason", "payload", "found_at"]
    connection.execute(inventory_findings.insert().from_select(columns, new))


def _rows_of(connection: sa.Connection, carrier: str) -> int:
    ours = inventory_sims.c
    query = sa.select(sa.func.count()).where(ours.carrier == carrier, ours.removed_at.is_(None))
    return int(connection.execute(query).scalar_one())


# Our own list of SIMs in the warehouse: bringing `inventory_sims` to what the list says now, in one transaction.
#
# Where the list comes from and what its words mean is not decided here: see the package `inventory`.


_ours = inventory_sims.c
_IS_THERE = _ours.removed_at.is_(None)


class LoadCounts(NamedTuple):
    """What loading the list did to `inventory_sims`. A SIM that came back to the list counts as added.

    `kept` are SIMs that the list no longer names and that were not removed: as many of its rows cannot be read, and
    each may be one of them.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    kept: int = 0


def load_inventory(
    engine: sa.Engine,
    carrier: str,
    entries: Iterable[Entry],
    *,
    min_percent: float = MIN_PERCENT_OF_LAST,
    dry_run: bool = False,
    note: Callable[[LoadCounts], LoadNote] | None = None,
    on_rows: Callable[[int], None] = lambda _rows: None,
    on_finding: Callable[[str, Finding], None] = lambda _source, _finding: None,
    all_sources: Collection[str] | None = None,
    now: datetime | None = None,
) -> LoadCounts:
    """Make the carrier's part of `inventory_sims` say what the list says; rows of other carriers are left alone.

    A row that says what it said is not touched: its `loaded_at` is when it last became what it is.

    Args:
        engine: the warehouse.
        carrier: whose rows are loaded.
        entries: the list, or several one after the other, complete for this carrier, row by row; not held.
        min_percent: a list with fewer SIMs than that of the last one is not taken for the truth; 0 takes any.
        dry_run: count what would be done, and write nothing.
        note: what to remember of this load, in the same transaction; by default that nothing is known.
        on_rows: hears how many rows were read so far.
        on_finding: hears of the rows that repeat an ICCID, with their list; nobody can know of them before.
        all_sources: what `inventory_findings` calls the lists of all carriers; findings of others are of the past.
        now: the time of loading; the warehouse's own by default.

    Raises:
        InventoryHeld: the list has far fewer SIMs of this carrier than the last one, or none any more.
        InventoryError: nothing of the list may be used. After both, `inventory_findings` says what is wrong with it,
            and nothing else was written.
        WarehouseUnavailable: the transaction did not happen.
    """
    with translate_db_errors(engine, f"loading the inventory of carrier {carrier}"), engine.connect() as connection:
        transaction = _begin_staging(connection)
        staged = Staging(connection, carrier, on_finding).fill(entries, on_rows)
        refused = _refusal(connection, carrier, staged, min_percent)
        if dry_run:
            counts = _count(connection, carrier, staged)
        else:
            transaction = _begin_writing(connection, transaction)
            lock_comparison(connection, carrier)
            time = now or read_clock(connection)
            write_findings(connection, carrier, staged.sources, all_sources, time)
            if refused is not None:  # what was loaded before it stays
                note_refusal(connection, carrier, str(refused), time)
            else:
                counts = _apply(connection, carrier, staged, time)
                if counts.added or counts.changed or counts.removed:
                    note_list_change(connection, carrier, time)
                source = ", ".join(filter(None, staged.sources))
                write_note(connection, carrier, source, None if note is None else note(counts), time)
        drop_tables(connection)
        transaction.commit()
    if refused is not None:
        raise refused
    return counts


def _begin_staging(connection: sa.Connection) -> sa.RootTransaction:
    """Begin where only temporary tables are written: in SQLite that needs nobody's lock."""
    return connection.execution_options(reads_only=connection.dialect.name == "sqlite").begin()


def _begin_writing(connection: sa.Connection, transaction: sa.RootTransaction) -> sa.RootTransaction:
    """Go on to where the database's write lock is held: in SQLite that is another transaction."""
    if connection.dialect.name != "sqlite":
        return transaction
    transaction.commit()
    return connection.execution_options(reads_only=False).begin()


def _refusal(connection: sa.Connection, carrier: str, staged: Staged, min_percent: float) -> InventoryError | None:
    """Return why the list is not taken: nothing of it may be used, or it has become much shorter than it was."""
    if staged.refusal is not None and not staged.is_empty:
        return InventoryError(staged.refusal)
    query = sa.select(sa.func.count()).where(_ours.carrier == carrier, _IS_THERE)
    known = int(connection.execute(query).scalar_one())
    if known and 100 * staged.sims < known * min_percent:
        return InventoryHeld(_held_text(carrier, staged, known, min_percent))
    return InventoryError(staged.refusal) if staged.refusal is not None and min_percent else None


def _held_text(carrier: str, staged: Staged, known: int, min_percent: float) -> str:
    of_it = f"{counted(staged.sims, 'SIM')} of carrier {carrier}" if staged.sims else f"no SIM of carrier {carrier}"
    unread = f"; {counted(staged.hidden_sims, 'row')} of it cannot be read" if staged.hidden_sims else ""
    return (
        f"our inventory has {of_it} any more, and {known:,} are known{unread}: less than {min_percent:g} %, as after "
        "an export that failed. The list before it stays. Correct the list; or if that is true, take it by "
        f"`sim-sync inventory accept {carrier}` (inventory.min_percent_of_last: 0 takes every list)"
    )


class _Differences:
    """What the list says otherwise than the table, as conditions."""

    def __init__(self, connection: sa.Connection, carrier: str) -> None:
        self.same = sa.and_(_ours.carrier == carrier, _ours.iccid == listed.c.iccid)
        differs = sa.or_(*(_comparable(name).is_distinct_from(listed.c[name]) for name in TOLD))
        self.changed = sa.and_(self.same, _IS_THERE, differs)
        self.returned = sa.and_(self.same, ~_IS_THERE)
        self.new = ~sa.exists().where(self.same)
        self.gone = sa.and_(
            _ours.carrier == carrier,
            _IS_THERE,
            ~sa.exists().where(listed.c.iccid == _ours.iccid).correlate(inventory_sims),
        )
        #: What the list says, in the form in which it is stored.
        self.told: dict[str, sa.ColumnElement[object]] = {name: listed.c[name] for name in TOLD}
        if connection.dialect.name == "postgresql":
            self.told["attributes"] = sa.cast(listed.c.attributes, sa.JSON())


def _count(connection: sa.Connection, carrier: str, staged: Staged) -> LoadCounts:
    """Count what `_apply` would do."""
    differences = _Differences(connection, carrier)

    def number(source: sa.FromClause, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(source).where(condition)
        return int(connection.execute(query).scalar_one())

    both = inventory_sims.join(listed, differences.same)
    changed = number(both, differences.changed)
    added = number(listed, differences.new) + number(both, differences.returned)
    gone = number(inventory_sims, differences.gone)
    return _counted(staged, added, changed, gone, is_kept=_is_kept(gone, staged))


def _apply(connection: sa.Connection, carrier: str, staged: Staged, now: datetime) -> LoadCounts:
    """Write the difference between the list and the table; each statement is over all rows."""
    differences = _Differences(connection, carrier)
    told, update = differences.told, inventory_sims.update()
    changed = connection.execute(update.where(differences.changed).values(**told, loaded_at=now)).rowcount
    back = update.where(differences.returned).values(**told, loaded_at=now, removed_at=None)
    returned = connection.execute(back).rowcount
    new = sa.select(sa.literal(carrier), listed.c.iccid, *told.values(), sa.literal(now, UtcDateTime()))
    insert = inventory_sims.insert().from_select(["carrier", "iccid", *TOLD, "loaded_at"], new.where(differences.new))
    # psycopg forgets the count of an INSERT unless SQLAlchemy is told to keep it.
    inserted = connection.execute(insert.execution_options(preserve_rowcount=True)).rowcount
    query = sa.select(sa.func.count()).select_from(inventory_sims).where(differences.gone)
    gone = int(connection.execute(query).scalar_one())
    is_kept = _is_kept(gone, staged)
    if gone and not is_kept:
        connection.execute(update.where(differences.gone).values(removed_at=now))
    return _counted(staged, inserted + returned, changed, gone, is_kept=is_kept)


def _is_kept(gone: int, staged: Staged) -> bool:
    """Return whether all SIMs that the list no longer names may be those of its rows that cannot be read."""
    return 0 < gone <= staged.hidden_sims


def _counted(staged: Staged, added: int, changed: int, gone: int, *, is_kept: bool) -> LoadCounts:
    return LoadCounts(
        added=added,
        changed=changed,
        removed=0 if is_kept else gone,
        unchanged=staged.sims - added - changed,
        kept=gone if is_kept else 0,
    )


def _comparable(name: str) -> sa.ColumnElement[str]:
    """Return a stored column in the form in which the list has it: JSON as its text."""
    return sa.cast(_ours[name], sa.Text()) if name == "attributes" else _ours[name]
