"""A `Desk` that answers logins as a test says, and keeps what it was asked and told."""

import threading
from collections.abc import Callable, Mapping

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.core.errors import SimSyncError

#: What a login call gets: an answer's body, or an error.
Result = object


class RecordingDesk:
    """Gives one result after the other, and the last one from then on; an exception is raised."""

    def __init__(self, *results: Result, before_answer: Callable[[], None] = lambda: None) -> None:
        self.asked: list[tuple[Ask, Mapping[str, str]]] = []
        self.hidden: list[str] = []
        self._results = list(results)
        self._lock = threading.Lock()
        self._before_answer = before_answer

    def log_in(self, ask: Ask, headers: Mapping[str, str] | None = None) -> Answer:
        """Keep the call and give the next result."""
        self._before_answer()
        with self._lock:
            self.asked.append((ask, headers or {}))
            result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if isinstance(result, SimSyncError):
            raise result
        return Answer(status=200, headers={}, body=result)

    def hide(self, secret: str) -> None:
        """Keep the secret."""
        self.hidden.append(secret)
