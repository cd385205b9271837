"""What people see of a running sync: a session as Dagster metadata, reported by time and not by page.

An event per page would fill the event log forever; the checkpoint row in the warehouse is exact, and always there.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import dagster as dg

from sim_sync.core import progress
from sim_sync.core.backoff import cause_and_error
from sim_sync.core.notes import error_text, lookups_note, sweep_text, time_text
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted, duration_text, printable

# Texts from outside in what Dagster's UI renders as Markdown: descriptions of check results.


_BACKTICKS = re.compile(r"`+")


def code_span(text: str) -> str:
    """Return a text as a code span (CommonMark, 6.1): no image in it is fetched, no link in it can be followed."""
    shown = printable(text)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest or shown != shown.strip(" ") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


# A session as metadata, and as a line of a log.


#: The metadata that says why a run did nothing.
LEFT_ALONE = "left_alone"
#: What is looked for first of all: Dagster's log shows five entries of an event, and hides the others behind a click.
_FIRST = ("state", "pages_done", "percent", "eta", "last_error")


def session_metadata(session: Session, page_seconds: Sequence[float] = ()) -> dict[str, dg.MetadataValue]:
    """Return a session as metadata: plain numbers and texts, because those are seen at a glance.

    `page_seconds` are the times of its last pages, from which its pace and the range of its end follow.
    """
    numbers: Mapping[str, int | float | None] = {
        "pages_done": session.pages_done,
        "pages_expected": session.pages_expected,
        "percent": progress.percent_of(session),
        "records_seen": session.records_seen,
        "records_expected": session.records_expected,
        "records_added": session.records_added,
        "records_changed": session.records_changed,
        "records_quarantined": session.records_quarantined,
        "retries": session.retries,
        "throttled_seconds": round(session.throttled_seconds, 1),
        "fence": session.fence,
        # A number, because Dagster draws those over time.
        "pages_per_minute": progress.pages_per_minute(session, page_seconds, session.updated_at),
        "lookups_done": session.lookups_done if session.lookups_expected else None,
        "lookups_expected": session.lookups_expected or None,
    }
    metadata: dict[str, dg.MetadataValue] = {
        "state": dg.MetadataValue.text(session.state.value),
        "session": dg.MetadataValue.text(session.session_id),
    }
    for name, number in numbers.items():
        if number is not None:
            metadata[name] = (
                dg.MetadataValue.float(float(number)) if isinstance(number, float) else dg.MetadataValue.int(number)
            )
    if session.eta_at is not None:
        metadata["eta"] = dg.MetadataValue.timestamp(session.eta_at)
        if range_text := _range_of_end(session, page_seconds):
            metadata["eta_range"] = dg.MetadataValue.text(range_text)
    if session.throttled_seconds >= 1:
        metadata["waiting"] = dg.MetadataValue.text(_waiting_text(session))
    if session.not_before is not None:
        metadata["not_before"] = dg.MetadataValue.timestamp(session.not_before)
    metadata["last_error"] = dg.MetadataValue.text(error_text(session) or "none")
    if session.last_error_at is not None:
        metadata["last_error_at"] = dg.MetadataValue.timestamp(session.last_error_at)
        metadata["last_error_is_over"] = dg.MetadataValue.bool(session.state in {State.RUNNING, State.COMPLETED})
    if session.state is State.PARKED:
        metadata["waits_for"] = dg.MetadataValue.text(cause_and_error(session)[0])
    if session.state is State.COMPLETED:
        metadata["sweep"] = dg.MetadataValue.text(_sweep_text(session))
    return {name: metadata[name] for name in (*_FIRST, *metadata) if name in metadata}


def _range_of_end(session: Session, page_seconds: Sequence[float]) -> str:
    ends_in = progress.remaining(session, page_seconds, session.updated_at)
    if ends_in.low_seconds is None or ends_in.high_seconds is None:
        return ""
    first, last = (session.updated_at + timedelta(seconds=each) for each in (ends_in.low_seconds, ends_in.high_seconds))
    return f"between {time_text(first, session.updated_at)} and {time_text(last, session.updated_at)}"


def _waiting_text(session: Session) -> str:
    elapsed = ((session.finished_at or session.updated_at) - session.started_at).total_seconds()
    return f"throttled {duration_text(session.throttled_seconds)} of {duration_text(elapsed)}"


def session_observation(
    context: dg.OpExecutionContext,
    session: Session,
    page_seconds: Sequence[float] = (),
    *,
    left_alone: str | None = None,
) -> dg.AssetObservation:
    """Return what is to be seen of a session at its asset, and why the run has left it alone, if it has."""
    metadata = session_metadata(session, page_seconds)
    if left_alone is not None:
        metadata[LEFT_ALONE] = dg.MetadataValue.text(left_alone)
    return dg.AssetObservation(context.assets_def.key, partition=session.carrier, metadata=metadata)


def _sweep_text(session: Session) -> str:
    return sweep_text(session).removeprefix("sweep ")


def progress_line(session: Session) -> str:
    """Return one line about a session for a log."""
    expected = f"/{session.pages_expected}" if session.pages_expected is not None else ""
    eta = f", ends about {session.eta_at:%H:%M:%S} UTC" if session.eta_at is not None else ""
    lookups = f", {note}" if (note := lookups_note(session)) else ""
    waited = f", {session.throttled_seconds:.0f} s waited" if session.throttled_seconds else ""
    told = (
        f"{session.carrier}: {session.state.value}, page {session.pages_done}{expected}{lookups}, "
        f"{counted(session.records_seen, 'record')}, {counted(session.retries, 'retry', 'retries')}{waited}{eta}"
    )
    return told + _last_error(session)


def _last_error(session: Session) -> str:
    """Return the newest error with its time: whoever opens a run looks for it first of all."""
    if session.last_error is None:
        return ""
    return f"; last error, at {time_text(session.last_error_at, session.updated_at)}: {error_text(session)}"


# When a checkpoint, or a number of rows, is told.


#: Seconds between two observations of one running walk; in a long one, that share of its time.
REPORT_EVERY_SECONDS = 15.0
_RARER = 0.01
#: So many kinds of errors are told at once in a run; a carrier may put what it likes into its messages.
_MOST_KINDS = 20
_NUMBERS = re.compile(r"\d+")


class CheckpointReporter:
    """Turns checkpoints into observations of `carrier_sims`: the first, one every few seconds, and each new error.

    The longer a run lasts, the rarer they are: their number grows with the logarithm of its time, however many pages
    it has. An error that differs from an earlier one in its numbers alone is no new one.
    """

    def __init__(
        self,
        report: Callable[[Session], None],
        *,
        every_seconds: float = REPORT_EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._started = self._next_at = monotonic()
        self._kinds: set[str] = set()
        self._last: Session | None = None
        #: The times of the last pages, in seconds, waits left out.
        self.page_seconds: tuple[float, ...] = ()

    def __call__(self, session: Session) -> None:
        """Report the checkpoint if it is time to, or if it tells of an error that was not reported yet."""
        self._note_time(session)
        now = self._monotonic()
        if self._is_new_error(session) or now >= self._next_at:
            self._next_at = now + max(self._every_seconds, (now - self._started) * _RARER)
            self._report(session)

    def _note_time(self, session: Session) -> None:
        last, self._last = self._last, session
        if last is not None:
            waited = session.throttled_seconds - last.throttled_seconds
            took = (session.updated_at - last.updated_at).total_seconds() - waited
            self.page_seconds = progress.remembered(self.page_seconds, took)

    def _is_new_error(self, session: Session) -> bool:
        kind = _NUMBERS.sub("0", session.last_error or "")
        if not kind or kind in self._kinds or len(self._kinds) >= _MOST_KINDS:
            return False
        self._kinds.add(kind)
        return True


class RowsReporter:
    """Tells how many rows of a long list were read so far, every few seconds; of a short list nothing."""

    def __init__(
        self,
        tell: Callable[[int], None],
        *,
        every_seconds: float = REPORT_EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._next_at = monotonic() + every_seconds

    def __call__(self, rows: int) -> None:
        """Tell the number of rows, if it is time to."""
        if self._monotonic() >= self._next_at:
            self._next_at = self._monotonic() + self._every_seconds
            self._tell(rows)
