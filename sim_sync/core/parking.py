"""When a parked session is due. Its wait has a cause, and each cause its longest wait."""

from datetime import datetime, timedelta

from sim_sync.core.clocks import is_over
from sim_sync.core.errors import WaitCause
from sim_sync.core.session import Session

#: Without another word of the config, no carrier is waited for longer (`retry.max_wait_seconds`).
LONGEST_WAIT_SECONDS = 86_400.0
#: A quota comes back with the next month.
_LONGEST_QUOTA_WAIT = timedelta(days=31)
_CAUSES = frozenset(cause.value for cause in WaitCause)


def cause_and_error(session: Session) -> tuple[str, str]:
    """Return why a session is parked, with which its last error begins, and that error."""
    cause, _, text = (session.last_error or "").partition(": ")
    return (cause, text) if cause in _CAUSES else ("waiting", session.last_error or "")


def is_due(session: Session, now: datetime, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> bool:
    """Return whether a parked session may continue now, or its time lies farther ahead than one can (`clocks`)."""
    if session.not_before is None:
        return True
    is_quota = cause_and_error(session)[0] == WaitCause.QUOTA_USED_UP
    longest = timedelta(seconds=longest_wait_seconds)
    # What parks a session is the last that changes it.
    since, longest = session.updated_at, max(longest, _LONGEST_QUOTA_WAIT) if is_quota else longest
    return is_over(session.not_before, since=since, now=now, longest=longest)
