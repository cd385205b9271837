"""Tells Dagster about our errors in its own words: what a retry can help, and what only a person can."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from sim_sync.core.errors import InputError, SimSyncError, TransientError

#: The metadata of a failure that says: what we were given has to be put right.
INPUT_PROBLEM = "input_problem"


class RunInterrupted(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """The run was told to end, by a signal or by a person, and ends now as canceled.

    Dagster's own interruption is repeated by an op's retry policy, in the very process that was told to end. As an
    error of the framework it is not; as an interruption it still cancels the run.
    """


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Turn a permanent error into a `Failure` that no retry policy repeats; let a transient one through to it.

    An interruption ends the run instead of being repeated.
    """
    try:
        yield
    except dg.DagsterExecutionInterruptedError as interrupt:
        raise RunInterrupted("the run was interrupted") from interrupt
    except TransientError:
        raise
    except SimSyncError as error:
        raise failure(str(error), is_input_problem=isinstance(error, InputError)) from None


def failure(message: str, *, is_input_problem: bool = False) -> dg.Failure:
    """Return a failure that only a person can do something about; its description is all they need."""
    return dg.Failure(
        description=message,
        metadata={INPUT_PROBLEM: True} if is_input_problem else None,
        allow_retries=False,
    )
