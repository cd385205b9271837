"""A walk that writes nothing: fetches and compares, and says what a real one would do."""

import dagster as dg

from sim_sync.config import CarrierConfig
from sim_sync.core.counting import counted
from sim_sync.core.pages import Cursor, cursor_digest
from sim_sync.warehouse import Warehouse
from sim_sync.worker.stopping import StopSignal, stopped_by_signals


def walk_dry(
    context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse, *, max_pages: int | None
) -> None:
    """Walk from the first page, up to `max_pages`, and log what would be added, changed and quarantined."""
    stop = StopSignal()
    source = carrier.build(stop)
    cursor: Cursor | None = source.first_cursor()
    pages = records = added = changed = rejected = 0
    used: set[str] = set()
    with stopped_by_signals(stop):
        while cursor is not None and stop.reason is None and (max_pages is None or pages < max_pages):
            used.add(cursor_digest(cursor))
            page = source.fetch_page(cursor)
            diff = warehouse.sessions.preview_page(carrier.name, page)
            pages, records = pages + 1, records + page.records
            added, changed, rejected = added + diff.added, changed + diff.changed, rejected + len(page.rejected)
            cursor = page.next_cursor
            if cursor is not None and cursor_digest(cursor) in used:
                context.log.error(f"page {pages} leads back to a page already fetched: a real walk would stop here")
                break
    whole = "the whole list" if cursor is None else "not the whole list"
    context.log.info(
        f"dry run over {carrier.name}, nothing written: {counted(pages, 'page')} ({whole}), "
        f"{counted(records, 'record')}; {added:,} would be added, {changed:,} changed, {rejected:,} quarantined"
    )
