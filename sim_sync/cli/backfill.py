"""`sim-sync backfill`: reconciles carriers now, through Dagster, in this process; several, each in its own process.

The runs are in the Dagster instance like any other, so the UI shows them, and if this process dies, the sensor resumes
what it left.
"""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Any

from sim_sync.cli.bars import BarLine, bar_line, bars_shown, is_a_terminal
from sim_sync.cli.dagster_home import chosen_dagster_home, full_disks, require_one_truth
from sim_sync.cli.status import progress_text
from sim_sync.config import Config, load_config
from sim_sync.core.errors import InputError, NoRoomLeft, SimSyncError
from sim_sync.core.notes import is_silent, place_text
from sim_sync.core.session import Session, State
from sim_sync.processes import handled_by, repeated
from sim_sync.terminal.output import ExitCode, complain, exit_code_of, print_lines, say, worst_of
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync.warehouse.warehouse import require_room
from sim_sync.worker.processes import is_known_dead, this_process

if TYPE_CHECKING:  # it imports Dagster
    from sim_sync.defs.launch import EndedRun

# Ctrl-C for a command whose work has processes of its own: the terminal sends it to all of them at once.
#
# Dagster's helpers of a run (they copy its output) know nothing of it: they die with a traceback on the screen while
# the run still finishes its page.


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


# How far our own list is loaded by a run in this process, in the terminal: before that, there is no page to report.


#: The logger of `sim_sync.defs.assets`, which imports Dagster.
LOADING = "sim_sync.loading"


@contextmanager
def loading_told() -> Iterator[None]:
    """Say what the load reports, every few seconds of a long list."""
    logger, handler = logging.getLogger(LOADING), _SayingHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _SayingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


# The command itself: one carrier in this process, or several side by side, and what became of each.


_SAY_EVERY_SECONDS = 5.0
#: States in which a session is left by a run that failed of what the session has no word for: the walk is whole, but
#: something after it, or beside it, is not; or the warehouse stayed away.
_ENDED_BY_A_FAILURE = frozenset({State.COMPLETED, State.INTERRUPTED})
#: Carriers that are synced side by side; each has its own process and its own limits.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Wish:
    """How a person wants it: from page 1, so many pages at most, without a word about progress, or only to be told."""

    restart: bool = False
    max_pages: int | None = None
    quiet: bool = False
    dry_run: bool = False
    as_json: bool = False

    @property
    def options(self) -> Sequence[str]:
        """The options of a command line that wishes the same, and leaves the progress to who shows it."""
        limit = [] if self.max_pages is None else ["--max-pages", str(self.max_pages)]
        return [*(["--restart"] if self.restart else []), *limit, *(["--quiet"] if self.quiet else [])]


def backfill_carriers(carriers: Sequence[str], *, every: bool, wish: Wish) -> ExitCode:
    """Reconcile the named carriers (or all), and return the worst outcome."""
    config = load_config()
    names = _chosen(config, carriers, every=every)
    config.require_sound(names)  # whatever is wrong with any of them is told before the first one starts
    if wish.dry_run:
        from sim_sync.cli.dry_run import run_all_dry

        return run_all_dry(config, names, max_pages=wish.max_pages, as_json=wish.as_json)
    if wish.as_json:
        raise InputError("--json: a run tells its progress line by line; `sim-sync status --json` tells how it ended")
    require_one_truth(config.warehouse_url)
    if full := full_disks(config.warehouse_url):
        raise NoRoomLeft("; ".join(full))
    if len(names) == 1:
        return _backfill_one(config, names[0], wish)
    return _backfill_side_by_side(config, names, wish)


def _chosen(config: Config, carriers: Sequence[str], *, every: bool) -> Sequence[str]:
    known = ", ".join(config.carrier_names)
    if every and carriers:
        raise InputError("give either --all or names of carriers, not both")
    if not every and not carriers:
        raise InputError(f"which carriers? --all or some of: {known}")
    return config.carrier_names if every else list(dict.fromkeys(carriers))


def _backfill_one(config: Config, carrier: str, wish: Wish) -> ExitCode:
    try:
        warehouse = open_warehouse(config.warehouse_url)
        require_room(warehouse.engine)
        with (
            chosen_dagster_home(),
            _progress_shown(warehouse, config.warehouse_url, carrier, quiet=wish.quiet),
            ctrl_c_for_this_process_alone(),
        ):
            # They import Dagster, which looks at its home.
            from sim_sync.definitions import reconcile_carrier
            from sim_sync.defs.launch import run_in_this_process

            ended = run_in_this_process(reconcile_carrier, carrier, restart=wish.restart, max_pages=wish.max_pages)
    except KeyboardInterrupt:
        say(f"{carrier}: interrupted; `sim-sync backfill {carrier}` continues")
        return ExitCode.NOT_FINISHED
    for message in ended.messages:
        complain(f"{carrier}: {message}")
    if ended.has_input_problem:
        return ExitCode.USAGE
    code = judge(warehouse, carrier, ended)
    if ended.list_held is None:
        return code
    say(f"{carrier}: {ended.list_held}")
    return worst_of([code, ExitCode.NOT_FINISHED])


def judge(warehouse: Warehouse, carrier: str, ended: "EndedRun") -> ExitCode:
    """Say what became of the session that the run itself opened, or why it opened none, and return what that means.

    Another run may have opened the next session meanwhile: that one is none of its business.
    """
    if ended.left_alone is not None:
        say(f"{carrier}: {ended.left_alone}")
        return ExitCode.NOT_FINISHED
    session_id = ended.session_id
    if session_id is None and ended.was_interrupted:
        session_id = _opened_unsaid(warehouse, carrier, ended.run_id)
    if session_id is None:
        say(f"{carrier}: {'interrupted' if ended.was_interrupted else 'failed'} before a session was opened")
        return ExitCode.NOT_FINISHED if ended.was_interrupted else ExitCode.FAILED
    return _judge_session(warehouse, warehouse.sessions.session(session_id), ended)


def _opened_unsaid(warehouse: Warehouse, carrier: str, run_id: str) -> str | None:
    """Return the session that a run has opened, but was ended before it could say so."""
    session = warehouse.sessions.open_session_of(carrier)
    return None if session is None or session.owner != run_id else session.session_id


def _judge_session(warehouse: Warehouse, session: Session, ended: "EndedRun") -> ExitCode:
    carrier = session.carrier
    if ended.was_interrupted and session.state in {State.RUNNING, State.INTERRUPTED}:
        say(f"{carrier}: interrupted after page {session.pages_done}; `sim-sync backfill {carrier}` continues")
        return ExitCode.NOT_FINISHED
    if session.owner != ended.run_id:
        say(f"{carrier}: {session.state.value}, in other hands: run {session.owner} took it over")
        return ExitCode.NOT_FINISHED
    if session.state is State.RUNNING:  # not even its end could be written down
        say(f"{carrier}: stopped after page {session.pages_done}; `sim-sync backfill {carrier}` continues")
        return ExitCode.NOT_FINISHED if ended.succeeded else ExitCode.FAILED
    say(progress_text(session, warehouse.sessions.now()))
    if not ended.succeeded and not ended.was_interrupted and session.state in _ENDED_BY_A_FAILURE:
        return ExitCode.FAILED
    return exit_code_of(session)


def _backfill_side_by_side(config: Config, names: Sequence[str], wish: Wish) -> ExitCode:
    slots = threading.Semaphore(_AT_ONCE)
    codes: dict[str, int] = {}
    running: dict[str, subprocess.Popen[str]] = {}
    has_bars = is_a_terminal() and not wish.quiet
    options = (replace(wish, quiet=True) if has_bars else wish).options

    def backfill(name: str) -> None:
        with slots:
            command = [sys.executable, "-m", "sim_sync", "backfill", name, *options]
            # Beside bars, what a process says goes through this one, which draws them.
            pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if has_bars else {}
            running[name] = subprocess.Popen(command, text=True, **pipe)
            print_lines(line.rstrip("\n") for line in running[name].stdout or ())
            codes[name] = running[name].wait()

    with _signals_passed_on(running), _bars(config, names) if has_bars else nullcontext():
        threads = [threading.Thread(target=backfill, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in names:
        say(f"{name}: exit code {codes[name]}")
    return worst_of(code if code in set(ExitCode) else ExitCode.FAILED for code in codes.values())


@contextmanager
def _bars(config: Config, names: Sequence[str]) -> Iterator[None]:
    warehouse = open_warehouse(config.warehouse_url)
    try:
        with bars_shown(lambda: bar_lines(warehouse, names)):
            yield
    finally:
        warehouse.close()


def bar_lines(warehouse: Warehouse, names: Sequence[str]) -> Sequence[BarLine]:
    """Return how far these carriers are, in their order."""
    now = warehouse.sessions.now()
    return [bar_line(overview, now) for overview in carrier_overviews(warehouse.engine, names)]


@contextmanager
def _signals_passed_on(running: dict[str, "subprocess.Popen[str]"]) -> Iterator[None]:
    """Let the processes of all carriers finish their pages when this one is asked to end."""

    def pass_on(number: int, _frame: object) -> None:
        for process in running.values():
            if process.poll() is None:
                process.send_signal(number)

    with handled_by(pass_on):
        yield


def _line(warehouse: Warehouse, url: str, carrier: str) -> str | None:
    """Return how far this process's walk is, or whom it is watching: the progress of another run is not its own."""
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.state is not State.RUNNING:
        return None
    process = warehouse.sessions.internals(session.session_id).process
    if process == this_process():
        now = warehouse.sessions.now()
        full = full_disks(url) if is_silent(session, now) else ()
        return "; ".join([progress_text(session, now, is_ours=True), *full])
    if is_known_dead(process):
        return f"{carrier}: run {session.owner} has died after {place_text(session)}; its session is taken over"
    until = f" until {session.lease_expires_at:%H:%M:%S} UTC" if session.lease_expires_at else ""
    return f"{carrier}: run {session.owner} holds the lease{until}; watching whether it renews it"


def _own_bar(warehouse: Warehouse, carrier: str) -> Sequence[BarLine]:
    """Return the bar of this process's walk; before it has one, and while it watches another run, none of its own."""
    session = next(iter(warehouse.sessions.latest_sessions([carrier])), None)
    if session is not None and warehouse.sessions.internals(session.session_id).process == this_process():
        return bar_lines(warehouse, [carrier])
    if session is None or session.state is not State.RUNNING:
        return [BarLine(carrier, "starting", 0.0, "")]
    return [BarLine(carrier, "watching", 0.0, f"run {session.owner} holds the lease; is it at work?")]


@contextmanager
def _progress_shown(warehouse: Warehouse, url: str, carrier: str, *, quiet: bool) -> Iterator[None]:
    """Show how far the walk is: a bar in a terminal, else a line every few seconds; nothing where that is wished."""
    if quiet:
        yield
    elif is_a_terminal():
        with bars_shown(lambda: _own_bar(warehouse, carrier)), loading_told():
            yield
    else:
        with _progress_told(warehouse, url, carrier), loading_told():
            yield


@contextmanager
def _progress_told(warehouse: Warehouse, url: str, carrier: str) -> Iterator[None]:
    """Say every few seconds how far the walk is, as its checkpoints tell."""
    told: str | None = None

    def tell() -> None:
        nonlocal told
        try:
            line = _line(warehouse, url, carrier)
        except SimSyncError as error:
            complain(str(error))
            return
        if line is not None and line != told:
            say(line)
        told = line

    with repeated(tell, every_seconds=_SAY_EVERY_SECONDS, name="progress"):
        yield
