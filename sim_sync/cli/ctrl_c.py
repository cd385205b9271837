"""Ctrl-C for a command whose work has processes of its own: the terminal sends it to all of them at once.

Dagster's helpers of a run (they copy its output) know nothing of it: they die with a traceback on the screen while the
run still finishes its page.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ctrl_c_for_this_process_alone() -> Iterator[None]:
    """Hear SIGINT as a SIGTERM, and let no process that is started in the block hear it.

    Raises:
        KeyboardInterrupt: in the block, for both signals, unless somebody in there has put in a handler of their own.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = threading.Event()
    handler = signal.signal(signal.SIGTERM, _interrupt)
    # Children inherit the mask; this process takes the signal from a thread that waits for it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    listener = threading.Thread(target=_listen, args=(is_over,), name="ctrl-c", daemon=True)
    listener.start()
    try:
        yield
    finally:
        is_over.set()
        signal.pthread_kill(listener.ident or 0, signal.SIGINT)
        listener.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, handler)


def _listen(is_over: threading.Event) -> None:
    while not is_over.is_set():
        signal.sigwait({signal.SIGINT})
        if not is_over.is_set():
            # To the main thread: there handlers run, and there is what waits.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
