"""Which requests are on their way before the walk needs their answers, how many, and which of them are thrown away.

A walk asks its questions one after the other, and what it asks next it knows for certain only from the last answer.
What it will presumably ask after that may be known before. Such questions are asked ahead; their answers are kept, in
order and unread, until the walk asks the very question. So whatever an answer is, a page, a refusal or a bug, it takes
effect when its turn comes, and one whose turn never comes has none.

Pure: what runs beside the walk is behind `Workers`.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Generic, Protocol, TypeVar

Question = TypeVar("Question")
Found = TypeVar("Found")
Told = TypeVar("Told", covariant=True)  # noqa: PLC0105 - read as "what is told", like the others


class Pending(Protocol[Told]):
    """A task that was started, and may be at work."""

    def result(self) -> Told:
        """Wait for its end, and return what it returned, or raise what it raised."""

    def drop(self) -> None:
        """Let it end soon, or not begin: nobody asks for its result any more."""


class Workers(Protocol):
    """Does tasks beside the walk, in the order in which they were started, several at a time."""

    def start(self, task: Callable[[], Found]) -> Pending[Found]:
        """Have a task done, as soon as a worker is free."""

    def close(self) -> None:
        """Take no more tasks; those that were dropped may still be at their end."""


class AskedAhead(Generic[Question, Found]):
    """The questions that were asked ahead, in the order in which the walk will presumably ask them.

    Never more than `most`: more answers are not waiting in memory, however slow the walk is. A question that the walk
    did not ask next shows that those after it were guessed wrong: they are thrown away, because the list may have moved
    since, and from then on only the next one is asked ahead; each right guess lets one more be.
    """

    def __init__(self, workers: Workers, most: int) -> None:
        self._workers = workers
        self._most = self._trusted = most
        self._asked: deque[tuple[Question, Pending[Found]]] = deque()

    def take(self, question: Question) -> Pending[Found] | None:
        """Return the answer to the walk's question, if that was asked ahead."""
        if not self._asked:
            return None
        asked, pending = self._asked[0]
        if asked != question:
            self._guessed_wrong(0)
            return None
        self._asked.popleft()
        self._trusted = min(self._trusted + 1, self._most)
        return pending

    def ask(
        self, questions: Iterator[Question], task_for: Callable[[Question], Callable[[], Found]], most: int | None
    ) -> None:
        """Ask what the walk will presumably ask: `questions` in their order, the first of them for certain.

        Args:
            questions: may have no end.
            task_for: returns what asks one of them.
            most: no more than these of them, however many may wait; None is no such bound.
        """
        wanted = list(islice(questions, self._trusted if most is None else min(most, self._trusted)))
        right = sum(1 for _ in takewhile(bool, map(_is_asked, self._asked, wanted)))
        if right < min(len(self._asked), len(wanted)):
            self._guessed_wrong(right)
        self._drop_from(right)
        for question in wanted[right : self._trusted]:
            self._asked.append((question, self._workers.start(task_for(question))))

    def close(self) -> None:
        """Throw everything away."""
        self._drop_from(0)
        self._workers.close()

    def _guessed_wrong(self, place: int) -> None:
        self._drop_from(place)
        self._trusted = 1

    def _drop_from(self, place: int) -> None:
        while len(self._asked) > place:
            self._asked.pop()[1].drop()


def _is_asked(asked: tuple[Question, object], wanted: Question) -> bool:
    return asked[0] == wanted
