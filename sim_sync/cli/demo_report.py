"""What must come out of `make run`, and how that is told. It judges what was seen, and looks at nothing itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sim_sync.cli.workdir import SIMULATED_SIMS
from sim_sync.core.counting import counted
from sim_sync.core.session import Session, SweepState
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.request_log import LogEntry

if TYPE_CHECKING:  # it imports Dagster, which a judgement does not need
    from sim_sync.defs.history import RunOfSession

#: What the carrier answers in between: two throttles, the first with a Retry-After, and one failure.
INJECTED_FAULTS = (
    (ErrorStatus(status=429, retry_after_seconds=1), Trigger(nth=10)),
    (ErrorStatus(status=429), Trigger(nth=20)),
    (ErrorStatus(status=503), Trigger(nth=30)),
)
#: What the shipped `examples/inventory.csv` differs by from the simulated fleet.
EXPECTED_DISCREPANCIES: Mapping[str, int] = {"missing_at_carrier": 12, "unknown_to_us": 8, "mismatch": 25}
_SENSOR = "resume_interrupted_syncs"

#: A line that says what came out, and whether that is right.
FigureCheck: TypeAlias = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Killed:
    """The sync at its death: the checkpoint that it left, and the time by the clock of the request log."""

    session: Session
    died_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen at the end: the session, Dagster's runs, the carrier's list requests, the tables."""

    killed: Killed
    completed: Session
    runs: Sequence["RunOfSession"]
    requests: Sequence[LogEntry]
    sims: int
    open_kinds: Sequence[str]


def figure_checks(outcome: Outcome) -> Sequence[FigureCheck]:
    """Return every figure of a demonstration beside whether it is the known one."""
    sims = f"{counted(outcome.sims, 'SIM')} in carrier_sims, {SIMULATED_SIMS:,} at the carrier"
    return [
        (sims, outcome.sims == SIMULATED_SIMS),
        _pages(outcome),
        _retries(outcome),
        _resume_point(outcome),
        _resuming_run(outcome),
        (f"sweep: {outcome.completed.sweep_state.value}", outcome.completed.sweep_state is SweepState.DONE),
        *_discrepancies(outcome.open_kinds),
    ]


def _pages(outcome: Outcome) -> FigureCheck:
    pages = outcome.completed.pages_done
    fetched = Counter(entry.page_token for entry in outcome.requests if entry.fault is None)
    again = fetched.total() - len(fetched)
    line = (
        f"{counted(pages, 'page')} walked, {again} of them fetched twice (one at most: the page in flight at the kill)"
    )
    return line, len(fetched) == pages and again <= 1


def _retries(outcome: Outcome) -> FigureCheck:
    completed = outcome.completed
    line = f"{counted(completed.retries, 'retry', 'retries')} ridden out, {completed.throttled_seconds:.1f} s waited"
    return line, completed.retries == len(INJECTED_FAULTS)


def _resume_point(outcome: Outcome) -> FigureCheck:
    killed = outcome.killed
    done = killed.session.pages_done
    after = [entry.page_token for entry in outcome.requests if entry.arrived_ns > killed.died_ns]
    # The cursor is the carrier's own link, and its page token tells one page from another.
    is_next = bool(after) and after[0] is not None and after[0] in str(killed.session.cursor)
    return f"killed after page {done}, gone on from page {done + 1}", is_next


def _resuming_run(outcome: Outcome) -> FigureCheck:
    killed, completed = outcome.killed.session, outcome.completed
    died = [run.status for run in outcome.runs if run.run_id == killed.owner]
    resumes = [run for run in outcome.runs if run.run_id != killed.owner]
    told = ", ".join(f"{run.run_id[:8]} ({run.status.lower()})" for run in resumes) or "none"
    line = f"resumed by run {told}, which the sensor launched; the killed run counts as failed"
    is_one = [(run.run_id, run.sensor, run.status) for run in resumes] == [(completed.owner, _SENSOR, "SUCCESS")]
    return line, is_one and died == ["FAILURE"] and completed.fence == killed.fence + 1


def _discrepancies(open_kinds: Sequence[str]) -> Sequence[FigureCheck]:
    counts = Counter(open_kinds)
    kinds = [*EXPECTED_DISCREPANCIES, *(kind for kind in counts if kind not in EXPECTED_DISCREPANCIES)]
    return [
        (f"discrepancies {kind}: {counts[kind]}", counts[kind] == EXPECTED_DISCREPANCIES.get(kind, 0)) for kind in kinds
    ]


def report_lines(root: Path, found: Sequence[FigureCheck]) -> Sequence[str]:
    """Return what a person wants to see at the end: what came out, where it lies, and how to look at it."""
    return [
        "",
        "What came out:",
        *(f"   {'ok   ' if is_right else 'WRONG'} {line}" for line, is_right in found),
        "",
        "Where it lies:",
        f"   the warehouse      {root / '.sim_sync' / 'warehouse.db'} (SQLite)",
        f"   our inventory      {root / 'examples' / 'inventory.csv'}",
        f"   runs and logs      {root / '.sim_sync' / 'dagster'}",
        "",
        "How to look at it:",
        "   make dev                                the Dagster UI on http://127.0.0.1:3000",
        "   .venv/bin/sim-sync status               where every carrier stands",
        "   .venv/bin/sim-sync discrepancies        what differs, row by row",
    ]
