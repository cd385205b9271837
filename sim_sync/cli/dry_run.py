"""`sim-sync backfill --dry-run`: what a run would do, in numbers and examples. Writes nothing, in Dagster neither."""

from collections.abc import Sequence

from sim_sync.config import Config
from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.core.session import Session
from sim_sync.core.sync import StopReason
from sim_sync.terminal.output import ExitCode, complain, print_json, print_lines, show_progress, worst_of
from sim_sync.warehouse.rehearsal import opened_as_it_is, rehearsal_of
from sim_sync.worker.dry_run import DryRun, document_of, lines_of, run_dry
from sim_sync.worker.stopping import StopSignal


def run_all_dry(config: Config, names: Sequence[str], *, max_pages: int | None, as_json: bool) -> ExitCode:
    """Find out what a run of each carrier would do, one after the other, print it, and return the worst outcome."""
    documents, codes = [], []
    for name in names:
        try:
            run = _run(config, name, max_pages)
        except SimSyncError as error:
            complain(f"{name}: {error}")
            codes.append(ExitCode.USAGE if isinstance(error, InputError) else ExitCode.FAILED)
            continue
        codes.append(_code_of(run))
        documents.append(document_of(run))
        if not as_json:
            print_lines(f"{name}: {line}" for line in lines_of(run))
    if as_json:
        print_json(documents)
    return worst_of(codes)


def _run(config: Config, name: str, max_pages: int | None) -> DryRun:
    def tell(session: Session) -> None:
        show_progress(f"{name}: dry run, page {session.pages_done:,}")

    with opened_as_it_is(config.warehouse_url) as engine, rehearsal_of(engine) as copy:
        return run_dry(config.carrier(name), config, copy, stop=StopSignal(), max_pages=max_pages, on_checkpoint=tell)


def _code_of(run: DryRun) -> ExitCode:
    if run.stopped_by is StopReason.FAILED:
        return ExitCode.FAILED
    if run.list_problem is not None and not run.list_is_held:
        return ExitCode.USAGE
    return ExitCode.DONE if run.is_whole else ExitCode.NOT_FINISHED
