"""What a run would do, found out on a copy of the warehouse by the very code that a run uses; nothing is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sim_sync.config import CarrierConfig, Config
from sim_sync.core.errors import InventoryError, InventoryHeld
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session
from sim_sync.core.sync import StopReason
from sim_sync.core.text import counted
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.rehearsal import Some, note_open, rehearsed_discrepancies, rehearsed_walk
from sim_sync.worker.our_list import LoadReport, load_our_list
from sim_sync.worker.processes import this_process
from sim_sync.worker.stopping import StopSignal
from sim_sync.worker.work import close_carrier, open_carrier, walk_carrier

#: Examples of each kind.
EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would do. `stopped_by` is why the walk did not come to its end, if it did not, with the `error`.

    `walk` has what would be `added`, `changed`, `quarantined` and marked `absent` and `vanished`; the last two, and
    what would be `opened` and `resolved`, only after a whole walk. `list_problem` is why our list would not be taken.
    """

    session: Session
    stopped_by: StopReason | None
    error: str | None
    walk: Mapping[str, Some]
    our_list: LoadReport | None
    list_problem: str | None
    list_is_held: bool
    opened: Some | None
    resolved: Some | None

    @property
    def is_whole(self) -> bool:
        """Whether the carrier's list was walked to its end."""
        return self.stopped_by is None


def run_dry(
    carrier: CarrierConfig,
    config: Config,
    copy: Warehouse,
    *,
    stop: StopSignal,
    max_pages: int | None = None,
    on_checkpoint: Callable[[Session], None] = lambda _session: None,
) -> DryRun:
    """Load our list, walk the carrier from its first page, sweep and compare, all on a copy of the warehouse.

    `copy` is that of the warehouse (`rehearsal_of`), which is written to.

    Raises:
        SimSyncError: what ends a run before it opens its session.
    """
    report, problem = _load(config, copy, carrier.name)
    opened = open_carrier(carrier, copy.sessions, owner="dry run", process=this_process(), trigger=Trigger.OPERATOR)
    outcome = walk_carrier(
        carrier, copy.sessions, opened.session, stop=stop, max_pages=max_pages, on_checkpoint=on_checkpoint
    )
    session = outcome.session
    differences = None
    if outcome.stopped_by is None:
        session = close_carrier(carrier, copy.sessions, session)
        if config.has_list_of(carrier.name) and (problem is None or isinstance(problem, InventoryHeld)):
            differences = _compare(config, copy, carrier.name)
    return DryRun(
        session=session,
        stopped_by=outcome.stopped_by,
        error=None if outcome.error is None else str(outcome.error),
        walk=rehearsed_walk(copy.engine, session, EXAMPLES),
        our_list=report,
        list_problem=None if problem is None else str(problem),
        list_is_held=isinstance(problem, InventoryHeld),
        opened=None if differences is None else differences[0],
        resolved=None if differences is None else differences[1],
    )


def _load(config: Config, copy: Warehouse, carrier: str) -> tuple[LoadReport | None, InventoryError | None]:
    our_list = config.our_list(carrier)
    if our_list is None:
        return None, None
    min_percent = config.min_percent_of_last(carrier)
    try:
        return load_our_list(our_list, copy, carrier, min_percent=min_percent), None
    except InventoryError as refused:
        return None, refused


def _compare(config: Config, copy: Warehouse, carrier: str) -> tuple[Some, Some]:
    note_open(copy.engine, carrier)
    told = config.reconcile
    reconcile(copy.engine, carrier, told.fields, told.rules(config.carrier_names))
    return rehearsed_discrepancies(copy.engine, carrier, EXAMPLES)


def document_of(run: DryRun) -> dict[str, Any]:
    """Return a dry run as plain words and numbers, for JSON."""
    session = run.session
    found = {**run.walk, "opened": run.opened, "resolved": run.resolved}
    listed = ("rows", "added", "changed", "removed", "kept", "unusable_rows", "values_left_out")
    return {
        "carrier": session.carrier,
        "whole": run.is_whole,
        "stopped": run.error or (None if run.stopped_by is None else run.stopped_by.value),
        "pages": session.pages_done,
        "records": session.records_seen,
        **{name: None if some is None else some.count for name, some in found.items()},
        "opened_by_kind": None if run.opened is None else dict(run.opened.kinds),
        "resolved_by_kind": None if run.resolved is None else dict(run.resolved.kinds),
        "sweep_state": session.sweep_state.value if run.is_whole else None,
        "sweep_reason": session.sweep_reason if run.is_whole else None,
        "our_list": None if run.our_list is None else {name: getattr(run.our_list, name) for name in listed},
        "list_problem": run.list_problem,
        "examples": {name: [] if some is None else list(some.examples) for name, some in found.items()},
    }


def lines_of(run: DryRun) -> list[str]:
    """Return a dry run as lines for people, its examples last."""
    session = run.session
    whole = "the whole list" if run.is_whole else "not the whole list"
    walk = {name: some.count for name, some in run.walk.items()}
    first = (
        f"dry run over {session.carrier}, nothing written: {counted(session.pages_done, 'page')} ({whole}), "
        f"{counted(session.records_seen, 'record')}; {walk['added']:,} would be added, {walk['changed']:,} changed, "
        f"{walk['quarantined']:,} quarantined"
    )
    lines = [first]
    if run.is_whole:
        held = f": {session.sweep_reason}" if session.sweep_reason else ""
        lines.append(
            f"{walk['absent']:,} would be marked absent, {walk['vanished']:,} vanished; the sweep would be "
            f"{session.sweep_state.value}{held}"
        )
    else:
        lines.append(f"the walk stopped: {run.error or (run.stopped_by or StopReason.FAILED).value}")
    if run.our_list is not None:
        told = run.our_list
        lines.append(
            f"of our list {told.added:,} would be added, {told.changed:,} changed, {told.removed:,} removed; "
            f"{counted(told.unusable_rows, 'row')} cannot be used"
        )
    if run.list_problem is not None:
        lines.append(f"our list would not be taken: {run.list_problem}")
    if run.opened is not None and run.resolved is not None:
        lines.append(
            f"{counted(run.opened.count, 'discrepancy', 'discrepancies')} would open{_kinds(run.opened)}, "
            f"{run.resolved.count:,} would be resolved{_kinds(run.resolved)}"
        )
    return [*lines, *_example_lines(run)]


def _kinds(some: Some) -> str:
    return f" ({', '.join(f'{kind} {number:,}' for kind, number in some.kinds.items())})" if some.kinds else ""


def _example_lines(run: DryRun) -> list[str]:
    lines = []
    for name, some in {**run.walk, "opened": run.opened, "resolved": run.resolved}.items():
        if some is not None:
            lines += [f"  {name}: {_example(example)}" for example in some.examples]
            lines += [f"  {name}: ... {some.count:,} in all"] if 0 < len(some.examples) < some.count else []
    return lines


def _example(example: Mapping[str, Any]) -> str:
    """Return one example: `sim 1: status active -> suspended`, or what it has, in a row."""
    if "old_value" in example:
        return f"{example['sim_id']}: {example['field']} {example['old_value']} -> {example['new_value']}"
    if "reason" in example:
        return f"page {example['page_number']}, position {example['position']}: {example['reason']}"
    if "kind" in example:
        what = " ".join(filter(None, [example["kind"], example["field"]]))
        return f"{what} {example['iccid']}: ours {example['ours']}, theirs {example['theirs']} ({example['severity']})"
    return f"{example['iccid'] or example['sim_id']} ({example['status']})"
