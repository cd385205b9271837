"""A `LoginTransport` that answers logins as a test says, and keeps what it was asked and told."""

import threading
from collections.abc import Callable, Mapping

from sim_sync.carriers.messages import Request, Response
from sim_sync.core.errors import SimSyncError

#: What a login call gets: an answer's body, or an error.
Result = object


class RecordingDesk:
    """Gives one result after the other, and the last one from then on; an exception is raised."""

    def __init__(self, *results: Result, before_answer: Callable[[], None] = lambda: None) -> None:
        self.asked: list[tuple[Request, Mapping[str, str]]] = []
        self.hidden: list[str] = []
        self._results = list(results)
        self._lock = threading.Lock()
        self._before_answer = before_answer

    def log_in(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Keep the call and give the next result."""
        self._before_answer()
        with self._lock:
            self.asked.append((request, headers or {}))
            result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if isinstance(result, SimSyncError):
            raise result
        return Response(status=200, headers={}, body=result)

    def hide(self, secret: str) -> None:
        """Keep the secret."""
        self.hidden.append(secret)
