"""`sim-sync quarantine`: the records that could not be read, replayed with today's mapping or given up."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sim_sync.cli.exports import as_text
from sim_sync.config import Config, load_config
from sim_sync.core.errors import InputError
from sim_sync.core.quarantine import REPLAYED
from sim_sync.core.text import counted
from sim_sync.terminal.output import ExitCode, print_json, print_lines, say
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import Warehouse, open_warehouse_to_read
from sim_sync.warehouse.quarantine import QuarantineRow, Replayed, drop, quarantined, quarantined_by_id, replay
from sim_sync.worker.stopping import StopSignal

#: A terminal shows this many records; `--json` has all.
_SHOWN_IN_TABLE = 200


def list_quarantine(*, carrier: str | None, include_resolved: bool, as_json: bool) -> ExitCode:
    """Print the records of one carrier, or of all that there ever were."""
    _, warehouse = _opened(carrier)
    rows = quarantined(warehouse.engine, carrier=carrier, include_resolved=include_resolved)
    if as_json:
        print_json([_object(row) for row in rows])
    else:
        _print_table(rows, include_resolved=include_resolved)
    return ExitCode.DONE


def show_record(record: int, *, as_json: bool) -> ExitCode:
    """Print one record with what the carrier sent."""
    _, warehouse = _opened(None)
    (row,) = quarantined_by_id(warehouse.engine, [record])
    found = _object(row)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    print_lines(f"{name}: {as_text(value)}" for name, value in found.items() if name != "payload" and value is not None)
    print_lines(["payload:"])
    print_lines(json.dumps(found["payload"], indent=2, ensure_ascii=False).splitlines())
    return ExitCode.DONE


def replay_records(ids: Sequence[int], *, carrier: str | None) -> ExitCode:
    """Replay the open ones among these records, or all open ones, of one carrier or of all."""
    config, warehouse = _opened(carrier)
    waiting = _waiting(warehouse, ids, carrier)
    known = [name for name in waiting if name in config.carrier_names]
    config.require_sound(known)
    done: list[Replayed] = []
    for name in known:
        reread = config.carrier(name).rereader(StopSignal())
        for one in replay(warehouse.engine, name, reread, waiting[name]):
            done.append(one)
            if one.resolution != REPLAYED:
                say(f"{one.id}: {one.resolution or f'stays in quarantine: {one.reason}'}")
    unknown = {name: chosen for name, chosen in waiting.items() if name not in known}
    print_lines(
        f"carrier {name} is not in {config.path}, so nothing reads its {counted(len(chosen), 'record')}: they stay"
        for name, chosen in unknown.items()
    )
    return _summed_up(done, sum(map(len, unknown.values())))


def drop_records(ids: Sequence[int], reason: str) -> ExitCode:
    """Give records up for a reason; one that is resolved already stays what it is."""
    if not reason.strip():
        raise InputError("expected a reason after --reason, found an empty one: it is all that tells why")
    _, warehouse = _opened(None)
    dropped = drop(warehouse.engine, ids, reason.strip())
    rows = quarantined_by_id(warehouse.engine, ids)
    print_lines(f"{row.id}: {_resolved(row)} already: {row.resolution}" for row in rows if row.id not in dropped)
    say(f"{counted(len(dropped), 'record')} dropped")
    return ExitCode.DONE


def _opened(carrier: str | None) -> tuple[Config, Warehouse]:
    config = load_config()
    if carrier is not None:
        config.require_known(carrier)
    return config, open_warehouse_to_read(config.warehouse_url)


def _waiting(warehouse: Warehouse, ids: Sequence[int], carrier: str | None) -> Mapping[str, Sequence[int]]:
    """Return the open ones of the records that are meant, by carrier; say which of those that were named are not."""
    rows: Iterator[QuarantineRow] | Sequence[QuarantineRow]
    if ids:
        rows = quarantined_by_id(warehouse.engine, ids)
        if others := [str(row.id) for row in rows if carrier not in {None, row.carrier}]:
            raise InputError(f"not of carrier {carrier}: {', '.join(others)}")
    else:
        rows = quarantined(warehouse.engine, carrier=carrier, include_resolved=False)
    waiting: dict[str, list[int]] = {}
    for row in rows:
        if row.resolved_at is None:
            waiting.setdefault(row.carrier, []).append(row.id)
        else:
            say(f"{row.id}: {_resolved(row)} already: {row.resolution}")
    return waiting


def _summed_up(done: Sequence[Replayed], not_tried: int) -> ExitCode:
    put_in = sum(one.resolution == REPLAYED for one in done)
    stay = sum(one.resolution is None for one in done) + not_tried
    not_needed = len(done) + not_tried - put_in - stay
    say(f"{counted(put_in, 'record')} put in, {not_needed:,} not needed, {stay:,} left in quarantine")
    return ExitCode.FAILED if stay else ExitCode.DONE


def _object(row: QuarantineRow) -> dict[str, Any]:
    return row._asdict() | {"payload": json.loads(row.payload)}


def _print_table(rows: Iterator[QuarantineRow], *, include_resolved: bool) -> None:
    extra = ("outcome",) if include_resolved else ()
    table = narrow_table("id", "carrier", "page", "position", "since", "reason", *extra, foldable={"reason", *extra})
    count = 0
    for row in rows:
        count += 1
        if count <= _SHOWN_IN_TABLE:
            place = (str(row.id), row.carrier, str(row.page_number), str(row.position))
            outcome = (_outcome(row),) if include_resolved else ()
            table.add_row(*place, f"{row.quarantined_at:%Y-%m-%d}", row.reason, *outcome)
    if count:
        print_table(table)
    rest = f"; the table shows {_SHOWN_IN_TABLE}, --json has all" if count > _SHOWN_IN_TABLE else ""
    say(f"{counted(count, 'record')}{'' if include_resolved else ' in quarantine'}{rest}")


def _outcome(row: QuarantineRow) -> str:
    return "" if row.resolved_at is None else f"{_resolved(row)}: {row.resolution}"


def _resolved(row: QuarantineRow) -> str:
    return f"resolved {row.resolved_at:%Y-%m-%d}"
