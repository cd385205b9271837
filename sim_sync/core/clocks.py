"""What written times are worth while a clock may have been wrong: one rule for everything that waits. Pure.

A clock that was days ahead, and is put right, leaves times behind that lie in the future: a wait until one of them
would last for days. A wait is therefore over, too, where the clock stands before the time at which it began, or where
it would still last longer than any wait is. What comes too early is only told to wait again.
"""

from datetime import datetime, timedelta

#: So far the clocks of a deployment differ, or are put right, without meaning anything.
TOLERANCE = timedelta(minutes=5)


def is_ahead(time: datetime, now: datetime) -> bool:
    """Return whether a time that was written as "now" lies in the future: the clock was wrong then, or is now."""
    return time - now > TOLERANCE


def is_over(until: datetime, *, since: datetime, now: datetime, longest: timedelta) -> bool:
    """Return whether a wait is over.

    Args:
        until: when it ends, by the clock of the time at which it began.
        since: when it began, by the same clock.
        now: what the clock shows.
        longest: so long such a wait is at most.
    """
    return until <= now or is_ahead(since, now) or until - now > longest + TOLERANCE
