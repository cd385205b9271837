"""Requests for pages ahead, sent by threads of their own, and what each of them is once the walk comes to its page.

Which pages that are is decided in `core.sync`. A request ahead is one attempt: what has to be waited for and
tried again is, when its page's turn comes, as if it had been sent only then. It keeps the carrier's limits like all.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sim_sync.carriers.client import Paused
from sim_sync.carriers.messages import Request, Response
from sim_sync.core.errors import ParkRequired, SimSyncError, StopRequested, TransientError, WarehouseUnavailable
from sim_sync.core.ports import Waiter
from sim_sync.core.sync import AskedAhead, Pending

Found = TypeVar("Found")

# --- threads ---------------------------------------------------------------------------------------------------------


class _Task(Generic[Found]):
    """A `Pending` task of a thread."""

    def __init__(self, do: Callable[[], Found]) -> None:
        self._do = do
        self._done = threading.Event()
        self._found: Found
        self._error: BaseException | None = None
        self.is_dropped = False

    def run(self) -> None:
        """Do it, unless nobody asks for it any more."""
        if self.is_dropped:
            return
        mark = _at_work.set(self)
        try:
            self._found = self._do()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        finally:
            _at_work.reset(mark)
            self._done.set()

    def result(self) -> Found:
        """See `Pending`."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._found

    def drop(self) -> None:
        """See `Pending`."""
        self.is_dropped = True


#: The task that a thread is at work on, and the watch of its request too; None in every other thread.
_at_work: ContextVar[_Task[Any] | None] = ContextVar("task at work", default=None)


class ThreadWorkers:
    """`Workers` that are up to `threads` threads. They keep no process alive."""

    def __init__(self, threads: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[_Task[Any] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._most = threads
        self._name = name

    def start(self, task: Callable[[], Found]) -> Pending[Found]:
        """See `Workers`.

        Raises:
            RuntimeError: the system gives no further thread; the task is not started.
        """
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            thread.start()
            self._threads.append(thread)  # only now: a task that no thread does would be waited for without an end
        started = _Task(task)
        self._tasks.put(started)
        return started

    def close(self) -> None:
        """See `Workers`."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # or its answer would be kept until the next one


#: No wait continues for longer after it was dropped.
_SLICE_SECONDS = 1.0


class DroppableWaiter:
    """A `Waiter` whose waits end, too, when the task that waits was dropped."""

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter

    def wait(self, seconds: float) -> None:
        """See `Waiter`."""
        if _at_work.get() is None:
            self._waiter.wait(seconds)
            return
        while seconds > 0:
            self._waiter.wait(min(seconds, _SLICE_SECONDS))
            seconds -= _SLICE_SECONDS
            if _is_dropped():
                raise StopRequested("nobody waits for this request any more")

    def is_stopped(self) -> bool:
        """See `Waiter`."""
        return self._waiter.is_stopped() or _is_dropped()


def _is_dropped() -> bool:
    task = _at_work.get()
    return task is not None and task.is_dropped


# --- what was asked --------------------------------------------------------------------------------------------------

#: What a request brings: the answer, and the permanent error that it is, if it is one.
Answered = tuple[Response, SimSyncError | None]


@dataclass(frozen=True, slots=True)
class EarlyAnswer:
    """What a request ahead has brought: an answer or an error, when, and how long the carrier's word delayed it."""

    answered: Answered | None
    error: SimSyncError | None
    paused_seconds: float
    at: float

    def given(self, now: float) -> Answered:
        """Return the answer or raise the error, as if it came now: what it asks to wait has partly passed."""
        if isinstance(self.error, TransientError) and self.error.retry_after_seconds is not None:
            left = max(self.error.retry_after_seconds - (now - self.at), 0.0)
            raise self.error.waiting_for(left)
        if isinstance(self.error, ParkRequired):
            raise self.error.waiting_for(max(self.error.wait_seconds - (now - self.at), 0.0))
        if self.error is not None:
            raise self.error
        if self.answered is None:
            raise TypeError("expected an answer or an error, found neither")
        return self.answered


@dataclass(frozen=True, slots=True)
class PagesAhead:
    """The pages that one walk has asked for ahead. `pages_left` says how many it may still commit after the next one.

    `send` makes one attempt, and adds how long the carrier's own word kept it waiting to what it is given.
    """

    asked: AskedAhead[Request, EarlyAnswer]
    pages_left: Callable[[], int | None]
    monotonic: Callable[[], float] = time.monotonic

    def ask(self, requests: Any, send: Callable[[Request, Paused], Answered]) -> None:
        """Send the requests that the walk will presumably need next, in their order."""
        self.asked.ask(requests, lambda request: lambda: self._sent(request, send), self.pages_left())

    def answer_to(self, request: Request, paused: Paused) -> Callable[[], Answered] | None:
        """Return what gives the answer to a request that was sent ahead; None where it was not.

        Of what the carrier's own word kept it waiting, only that counts for which the walk waits, too.
        """
        pending = self.asked.take(request)
        if pending is None:
            return None

        def given() -> Answered:
            began = self.monotonic()
            early = pending.result()
            now = self.monotonic()
            paused.seconds += min(early.paused_seconds, now - began)
            return early.given(now)

        return given

    def close(self) -> None:
        """Let nothing more be sent."""
        self.asked.close()

    def _sent(self, request: Request, send: Callable[[Request, Paused], Answered]) -> EarlyAnswer:
        paused, answered, failure = Paused(), None, None
        try:
            answered = send(request, paused)
        except SimSyncError as error:
            failure = error
        return EarlyAnswer(answered, failure, paused.seconds, self.monotonic())


def first(
    early: Callable[[], Found] | None, later: Callable[[], Found], may_have_passed: Callable[[Found], bool]
) -> Callable[[], Found]:
    """Return what calls `early` once, where there is such a one, and `later` from then on.

    What `may_have_passed` finds says nothing about now, and is asked for again. Neither does a long wait that is over
    by now, nor a warehouse that was away, where hosts share the limit: it kept the early request from being sent, or
    its answer from being counted.
    """
    left = [] if early is None else [early]

    def attempt() -> Found:
        if left:
            try:
                found = left.pop()()
                if not may_have_passed(found):
                    return found
            except WarehouseUnavailable:
                pass
            except ParkRequired as wait:
                if wait.wait_seconds > 0:
                    raise
        return later()

    return attempt
