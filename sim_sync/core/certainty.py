"""What a walk knows about having seen everything: kept with its pages, and asked for at its end (`sweep`).

Also where a walk that has no end stops: a list that merely grows brings SIMs that were not seen, an endless one none.
"""

from dataclasses import replace
from datetime import datetime

from sim_sync.core.counting import counted
from sim_sync.core.diff import PageDiff
from sim_sync.core.errors import EndlessList
from sim_sync.core.pages import Page
from sim_sync.core.session import SessionInternals, SessionRecord


def learned(record: SessionRecord, page: Page, diff: PageDiff) -> SessionInternals:
    """Return what is known of the walk with one page more.

    Raises:
        EndlessList: the walk has reached one of its bounds.
    """
    known = record.internals
    has_told = known.carrier_total is not None
    total = page.records_total
    _check_length(record)
    return replace(
        known,
        sims_listed=known.sims_listed + (diff.first_seen if page.is_reread else len(page.sims) - page.overlap),
        carrier_total=known.carrier_total if total is None else total,
        total_fallen=known.total_fallen + _fall(known.carrier_total, total),
        total_is_stale=has_told if total is None else False,
        walk_gap=known.walk_gap or page.gap,
        end_doubt=page.end_doubt,
        moves_unseen=known.moves_unseen or page.moves_unseen,
        idle_pages=_idle_pages(record, page, diff),
    )


def started_again(record: SessionRecord) -> SessionInternals:
    """Return what is known of a walk that starts again: nothing, but that its pages so far will bring nothing new."""
    return replace(
        record.internals,
        sims_listed=0,
        total_fallen=0,
        total_is_stale=False,
        walk_gap=None,
        end_doubt=None,
        moves_unseen=False,
        longest_break_seconds=0.0,
        idle_pages=-record.session.pages_done,
    )


def after_a_break(record: SessionRecord, now: datetime) -> SessionInternals:
    """Return what is known of a walk that somebody continues with: how long nobody did."""
    known, session = record.internals, record.session
    seconds = (now - session.updated_at).total_seconds() if session.pages_done else 0.0
    return replace(known, longest_break_seconds=max(known.longest_break_seconds, seconds))


def _fall(before: int | None, now: int | None) -> int:
    return 0 if before is None or now is None else max(before - now, 0)


def _idle_pages(record: SessionRecord, page: Page, diff: PageDiff) -> int:
    known, session = record.internals, record.session
    if diff.first_seen or (page.rejected and not page.sims):
        return 0
    if page.is_reread:
        return known.idle_pages
    if known.idle_pages >= known.max_idle_pages and page.next_cursor is not None:
        idle = counted(known.max_idle_pages, "page")
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: {idle} in a row brought no SIM that this walk "
            "had not seen, and the carrier still names a next page, so its list seems to have no end. "
            f"{page.advice_on_repeats}; if that many such pages are usual, raise `max_idle_pages`"
        )
    return known.idle_pages + 1


def _check_length(record: SessionRecord) -> None:
    known, session = record.internals, record.session
    if session.pages_done >= known.max_pages:
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: the walk is longer than `max_pages_per_walk` "
            f"({known.max_pages:,}) allows. If the fleet is so large, raise it, or let `page_size` be larger; if not, "
            "the list has no end: check the pagination and `sim_id` in carriers.yaml"
        )
