"""Logs for machines: `SIM_SYNC_LOG_FORMAT=json` makes every line of them one JSON object on standard error.

Without it, nothing is changed: a terminal shows messages as they are, and Dagster shows a run's as it does.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.session import Session

FORMAT_VARIABLE = "SIM_SYNC_LOG_FORMAT"
#: What sim_sync's own loggers are called, or begin with.
OURS = "sim_sync"
_FORMATS = ("text", "json")
#: What this process works on; a run is one process, and works on one session at a time.
_at_work: list[Callable[[], Session]] = []


def is_json(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether logs are for machines.

    Raises:
        ConfigError: the variable names another format than those that there are.
    """
    given = environ.get(FORMAT_VARIABLE) or "text"
    if given not in _FORMATS:
        raise ConfigError([Problem("the environment", FORMAT_VARIABLE, " or ".join(_FORMATS), repr(given))])
    return given == "json"


def log_for_machines(logger_name: str) -> None:
    """Let a logger, and those below it, write JSON lines where that is wished; done twice, it is done once.

    Args:
        logger_name: `OURS`, or "" for all loggers of a process that is ours.
    """
    if not is_json() or is_installed():
        return
    logging.getLogger(logger_name).addHandler(JsonHandler())
    logging.getLogger(OURS).setLevel(logging.INFO)


def is_installed() -> bool:
    """Return whether this process writes JSON lines."""
    loggers = (logging.getLogger(OURS), logging.getLogger())
    return any(isinstance(handler, JsonHandler) for logger in loggers for handler in logger.handlers)


@contextmanager
def work_noted(at_work: Callable[[], Session]) -> Iterator[None]:
    """Let every line in the block name the session and the page at work, as `at_work` has them when it is written."""
    _at_work.append(at_work)
    try:
        yield
    finally:
        _at_work.clear()


def _noted() -> Mapping[str, object]:
    if not _at_work:
        return {}
    session = _at_work[-1]()
    return {"carrier": session.carrier, "session": session.session_id, "page": session.pages_done + 1}


class JsonHandler(logging.Handler):
    """Writes each record as one line of JSON; `known` is what it says of all of them."""

    def __init__(self, **known: object) -> None:
        super().__init__()
        self._known = known

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; where nobody can be written to, it is lost, and the work continues."""
        try:
            known = {"message": self.message_of(record), **_noted(), **self._known}
            sys.stderr.write(json_line(record, known) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)

    def message_of(self, record: logging.LogRecord) -> str:
        """Return the message of a record."""
        return record.getMessage()


def json_line(record: logging.LogRecord, known: Mapping[str, object]) -> str:
    """Return a record as one JSON object on one line of ASCII, no control character in it."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        **known,
    }
    if record.exc_info:
        line["exception"] = logging.Formatter().formatException(record.exc_info)
    return json.dumps(line, default=str).replace("\x7f", r"\u007f")
