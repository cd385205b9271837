"""How a sync is asked to stop: the first reason counts, every wait ends, and signals are heard at any moment."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from sim_sync.core.errors import Fenced, StopRequested
from sim_sync.core.sync import StopReason
from sim_sync.worker.stopping import StopSignal, stopped_by_signals

LONG = 3600.0


def test_a_wait_that_nobody_cuts_short_returns() -> None:
    stop = StopSignal()
    stop.wait(0.0)
    stop.wait(-1.0)
    stop.wait(0.001)
    assert stop.reason is None


def test_every_wait_after_a_request_ends_at_once() -> None:
    stop = StopSignal()
    stop.request(StopReason.PAUSED)
    for _ in range(3):
        with pytest.raises(StopRequested, match="a wait of 3600 s was cut short: paused by an operator"):
            stop.wait(LONG)


def test_every_wait_in_progress_ends_at_a_request() -> None:
    stop = StopSignal()
    waiting = threading.Barrier(4)

    def wait() -> bool:
        waiting.wait(30)
        try:
            stop.wait(LONG)
        except StopRequested:
            return True
        return False

    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(wait) for _ in range(3)]
        waiting.wait(30)
        stop.request(StopReason.SHUTDOWN)
        assert [one.result(timeout=30) for one in waits] == [True] * 3


def test_the_first_reason_counts() -> None:
    stop = StopSignal()
    lost = Fenced("taken over")
    stop.request(StopReason.FENCED, error=lost)
    stop.request(StopReason.SHUTDOWN)
    assert (stop.reason, stop.error) == (StopReason.FENCED, lost)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_is_remembered(number: signal.Signals) -> None:
    stop = StopSignal()
    with stopped_by_signals(stop):
        os.kill(os.getpid(), number)
        with pytest.raises(StopRequested):
            stop.wait(LONG)
    assert (stop.reason, stop.signal_number) == (StopReason.SHUTDOWN, number)


def test_a_signal_is_heard_in_the_middle_of_a_wait() -> None:
    stop = StopSignal()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    with stopped_by_signals(stop):
        timer.start()
        with pytest.raises(StopRequested):
            stop.wait(LONG)
    timer.join()


def test_a_signal_is_heard_at_every_line_of_a_wait() -> None:
    """Whatever lock the wait holds at that moment: the handler runs inside of it."""
    lines = _lines_of_a_wait(at_line=None)
    assert lines > 0
    for at_line in range(lines):
        assert _lines_of_a_wait(at_line=at_line) > at_line


def _lines_of_a_wait(at_line: int | None) -> int:
    """Wait for nothing with the signal at one line of it; then the stop must be heard. Returns the lines passed."""
    stop = StopSignal()
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        if event == "line":
            if lines == at_line:
                signal.raise_signal(signal.SIGTERM)
            lines += 1
        return trace

    before = sys.gettrace()
    with stopped_by_signals(stop):
        sys.settrace(trace)
        try:
            stop.wait(0.0)
        except StopRequested:
            pass
        finally:
            sys.settrace(before)
        if at_line is not None:
            with pytest.raises(StopRequested):
                stop.wait(LONG)
    return lines


def test_the_handlers_that_were_there_before_are_back_afterwards() -> None:
    def theirs(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("not called")

    before = signal.signal(signal.SIGTERM, theirs)
    try:
        with pytest.raises(ZeroDivisionError):
            _fail_while_listening(theirs)
        assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail_while_listening(theirs: object) -> None:
    with stopped_by_signals(StopSignal()):
        assert signal.getsignal(signal.SIGTERM) is not theirs
        raise ZeroDivisionError


def test_outside_of_the_main_thread_no_handler_is_changed() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def look() -> object:
        with stopped_by_signals(StopSignal()):
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result(timeout=30) is before
