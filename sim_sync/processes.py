"""What every part of the program needs of its process: causes of errors, signals, and something now and then."""

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from types import FrameType

# The errors behind an error.


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it, each once: what it was raised from, or else what was being handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


# Signals of this process, handled in another way for a while. To be used in the main thread, as Python demands.


#: What asks a process to end: a person's Ctrl-C, and everybody else.
ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handled_by(
    handler: Callable[[int, FrameType | None], object], numbers: Collection[signal.Signals] = ENDING
) -> Iterator[None]:
    """Let these signals call `handler` in the block; afterwards the handlers of before are back in place."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def put_into(ends: "SimpleQueue[str]") -> AbstractContextManager[None]:
    """Turn what asks to end into entries of the queue, whose `put` is safe in a signal handler."""
    return handled_by(lambda number, _: ends.put(signal.Signals(number).name))


# Something that is done now and then, beside what the process does.


@contextmanager
def repeated(act: Callable[[], object], *, every_seconds: float, name: str) -> Iterator[None]:
    """Call `act` again and again, from a thread that ends with the block; for the first time after a pause."""
    is_over = threading.Event()

    def keep_on() -> None:
        while not is_over.wait(every_seconds):
            act()

    thread = threading.Thread(target=keep_on, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
