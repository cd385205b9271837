"""`sim-sync inventory`: how our list of a carrier stands, and taking one that is much shorter than the last."""

from collections.abc import Iterator
from typing import Any

from sim_sync.config import Config, load_config
from sim_sync.core.errors import InputError, InventoryError
from sim_sync.core.text import counted
from sim_sync.inventory import OurList
from sim_sync.terminal.output import ExitCode, print_json, print_lines, say
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.inventory import ListState, list_states
from sim_sync.worker.our_list import LoadReport, load_our_list


def show_list(carrier: str, *, as_json: bool) -> ExitCode:
    """Read our list of a carrier, and print what taking it would do, and why it was not taken. Writes nothing."""
    config, our_list = _list_of(carrier)
    warehouse = open_warehouse(config.warehouse_url)
    state = list_states(warehouse.engine, [carrier]).get(carrier)
    problem, report = None, None
    try:
        report = load_our_list(our_list, warehouse, carrier, dry_run=True, min_percent=0)
    except InventoryError as refused:
        problem = str(refused)
    if as_json:
        print_json(_document(carrier, state, report, problem))
    else:
        print_lines(_lines(carrier, state, report, problem))
    return ExitCode.DONE if problem is None else ExitCode.USAGE


def accept_list(carrier: str) -> ExitCode:
    """Take our list of a carrier as it is now, however short it has become."""
    config, our_list = _list_of(carrier)
    warehouse = open_warehouse(config.warehouse_url)
    sources = [one.where for one in config.our_lists()]
    report = load_our_list(our_list, warehouse, carrier, min_percent=0, all_sources=sources)
    say(f"{carrier}: our list is taken: {_counts(report)}; `sim-sync backfill {carrier}` compares it")
    return ExitCode.DONE


def _list_of(carrier: str) -> tuple[Config, OurList]:
    config = load_config()
    config.require_known(carrier)
    our_list = config.our_list(carrier)
    if our_list is None:
        raise InputError(f"no list of carrier {carrier} is configured: add `inventory:` to {config.path}")
    return config, our_list


def _lines(carrier: str, state: ListState | None, report: LoadReport | None, problem: str | None) -> Iterator[str]:
    since = "none was loaded yet" if state is None else f"the list of {state.loaded_at:%Y-%m-%d %H:%M} UTC counts"
    yield f"{carrier}: {since}"
    if state is not None and state.refused_at is not None:
        yield f"{carrier}: newer ones are not taken since {state.refused_at:%Y-%m-%d %H:%M} UTC: {state.refusal}"
    if report is not None:
        yield f"{carrier}: to take the list as it is now: {_counts(report)}"
        for finding in report.findings:
            kind = f" ({finding.times:,} of this kind)" if finding.times > 1 else ""
            yield f"{finding.source}, row {finding.row_number}, column {finding.column!r}: {finding.reason}{kind}"
    if problem is not None:
        yield f"{carrier}: {problem}"


def _counts(report: LoadReport) -> str:
    return (
        f"{counted(report.rows, 'SIM')}, {report.added:,} added, {report.changed:,} changed, "
        f"{report.removed:,} removed; {counted(report.unusable_rows, 'row')} cannot be used"
    )


def _document(carrier: str, state: ListState | None, report: LoadReport | None, problem: str | None) -> dict[str, Any]:
    return {
        "carrier": carrier,
        "loaded_at": None if state is None else state.loaded_at,
        "refused_at": None if state is None else state.refused_at,
        "refusal": None if state is None else state.refusal,
        "problem": problem,
        "would": None
        if report is None
        else {
            name: getattr(report, name)
            for name in ("rows", "added", "changed", "removed", "kept", "unusable_rows", "values_left_out")
        },
        "findings": [] if report is None else [finding._asdict() for finding in report.findings],
    }
