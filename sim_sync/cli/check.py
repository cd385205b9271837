"""`sim-sync check`: the config, the warehouse, our inventory, and two pages of every carrier. Writes nothing.

What it finds is gathered in `sim_sync.cli.findings`; here it is printed and given its exit code.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict

from sim_sync.cli.findings import (
    CarrierFindings,
    PlaceFindings,
    look_at_carriers,
    look_at_folders,
    look_at_inventory,
    look_at_tables,
)
from sim_sync.config import load_config
from sim_sync.core.text import counted, duration_text
from sim_sync.terminal.output import ExitCode, print_json, print_lines, worst_of
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.terminal.workdir import SIMULATED_CARRIER, conflict_lines

#: The shipped carrier is served by nobody unless somebody asks for it.
_SIMULATED_HINT = "; `make dev` serves the simulated carrier, and so does `sim-sync simulate --port 8585`"


def check_everything(carriers: Sequence[str], *, as_json: bool) -> ExitCode:
    """Check all that a sync needs, print what was found, and return the worst of it."""
    config = load_config()
    for name in carriers:
        config.require_known(name)
    names = carriers or config.carrier_names
    config.require_sound(names, with_alerts=True)
    places = [look_at_tables(config), look_at_inventory(config, names), look_at_folders(config)]
    found = look_at_carriers(config, names)
    if as_json:
        _print_json(str(config.path), places, found)
    else:
        _print_table(str(config.path), places, found)
    return worst_of([item.exit_code for item in places] + [item.exit_code for item in found])


def _print_json(path: str, places: Sequence[PlaceFindings], found: Sequence[CarrierFindings]) -> None:
    document = {
        "config": path,
        **{place.name: _told(place) for place in places},
        "carriers": [_told(carrier) for carrier in found],
    }
    print_json(document)


def _told(item: PlaceFindings | CarrierFindings) -> dict[str, object]:
    return asdict(item) | {"exit_code": int(item.exit_code), "ok": item.exit_code is ExitCode.DONE}


def _print_table(path: str, places: Sequence[PlaceFindings], found: Sequence[CarrierFindings]) -> None:
    print_lines([f"config     ok: {path}", *conflict_lines(os.environ)])
    print_lines(f"{place.name:<10} {_word(place.exit_code)}: {place.told}" for place in places)
    table = narrow_table("carrier", "reachable", "signed in", "SIMs", "pages", "a walk takes", foldable={"carrier"})
    for carrier in found:
        table.add_row(
            carrier.carrier,
            _yes_or_no(carrier.reachable),
            _yes_or_no(carrier.authenticated),
            "not told" if carrier.sims is None else f"{carrier.sims:,}",
            "not known" if carrier.pages is None else f"{carrier.pages:,}",
            "not known" if carrier.walk_seconds is None else duration_text(carrier.walk_seconds),
        )
    print_table(table)
    print_lines(f"{carrier.carrier}: {_notes(carrier)}" for carrier in found)


def _notes(carrier: CarrierFindings) -> str:
    if carrier.problem is not None:
        return carrier.problem + (_SIMULATED_HINT if carrier.carrier == SIMULATED_CARRIER else "")
    notes = []
    if carrier.empty_columns:
        notes.append(f"stay empty: {', '.join(carrier.empty_columns)}")
    if carrier.unknown_status_words:
        notes.append(f"unknown status words: {', '.join(carrier.unknown_status_words)}")
    if carrier.unreadable_records:
        notes.append(f"{counted(carrier.unreadable_records, 'unreadable record')}: {carrier.unreadable_reason}")
    notes += carrier.doubts
    return "; ".join(notes) or "all well"


def _word(code: ExitCode) -> str:
    return "ok" if code is ExitCode.DONE else "FAILED"


def _yes_or_no(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "?"}[value]
