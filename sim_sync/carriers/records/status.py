"""What a carrier's status word means, each distinct word looked up once."""

import re
from typing import Any, NamedTuple

from sim_sync.carriers.records.stored import json_text
from sim_sync.core.sims import Lifecycle, StatusWords
from sim_sync.core.storable import storable_text

_LAST_PART = re.compile(r"[-_ ][^-_ ]*$")
#: No carrier has that many words; what comes beyond them is read again each time.
_MOST_WORDS = 1000


class StatusRead(NamedTuple):
    """A status word, its place in the lifecycle, whether a change is in flight, and whether the word is listed."""

    word: str | None
    status: str
    pending: bool
    is_known: bool


NO_STATUS = StatusRead(None, Lifecycle.UNKNOWN.value, pending=False, is_known=True)


class StatusReader:
    """Reads status words. With `by_prefix`, an unlisted word means what the longest listed beginning of it means."""

    def __init__(self, words: StatusWords, *, by_prefix: bool = False) -> None:
        self._words = words
        self._by_prefix = by_prefix
        self._known: dict[str, StatusRead] = {}

    def read(self, value: Any) -> StatusRead:
        """Return what a record's status value means."""
        if value is None or value == "":
            return NO_STATUS
        word = value if isinstance(value, str) else json_text(value)
        found = self._known.get(word)
        if found is None:
            found = self._looked_up(word)
            if len(self._known) < _MOST_WORDS:
                self._known[word] = found
        return found

    def _looked_up(self, word: str) -> StatusRead:
        listed = self._listed(word)
        meaning = self._words[listed or word]
        return StatusRead(storable_text(word), meaning.status.value, meaning.pending, is_known=listed is not None)

    def _listed(self, word: str) -> str | None:
        while word not in self._words:
            shorter = _LAST_PART.sub("", word) if self._by_prefix else word
            if shorter == word:
                return None
            word = shorter
        return word
