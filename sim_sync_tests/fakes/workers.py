"""Workers without threads: their tasks are done when chance says so, in whatever order threads could bring about."""

from collections.abc import Callable
from random import Random
from typing import Generic, TypeVar

from sim_sync.core.sync import Pending

Found = TypeVar("Found")


class _Task(Generic[Found]):
    def __init__(self, do: Callable[[], Found], workers: "ChanceWorkers") -> None:
        self._do = do
        self._workers = workers
        self._found: Found
        self._error: BaseException | None = None
        self.is_done = False

    def run(self) -> None:
        self.is_done = True
        try:
            self._found = self._do()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error

    def result(self) -> Found:
        self._workers.work_until(self)
        if self._error is not None:
            raise self._error
        return self._found

    def drop(self) -> None:
        self._workers.forget(self)


class ChanceWorkers:
    """`Workers`, of which `most` could be at work at the same time. `chance` decides who is done when."""

    def __init__(self, most: int, chance: Random) -> None:
        self._most = most
        self._chance = chance
        self._tasks: list[_Task[object]] = []
        self.is_closed = False

    def start(self, task: Callable[[], Found]) -> Pending[Found]:
        """See `Workers`; some tasks may be done at once."""
        started = _Task(task, self)
        self._tasks.append(started)  # type: ignore[arg-type]
        while self._tasks and self._chance.random() < 0.5:
            self._do_one()
        return started

    def close(self) -> None:
        """See `Workers`."""
        self.is_closed = True

    def work_until(self, task: _Task[Found]) -> None:
        """Do tasks until this one is done."""
        while not task.is_done:
            self._do_one()

    def forget(self, task: _Task[Found]) -> None:
        """Let a dropped task be done, as one that was on its way, or not."""
        if task in self._tasks:
            self._tasks.remove(task)  # type: ignore[arg-type]
            if self._chance.random() < 0.5:
                task.run()

    def _do_one(self) -> None:
        task = self._chance.choice(self._tasks[: self._most])
        self._tasks.remove(task)
        task.run()
