"""The next page begins after the last record of this one: its key goes into the next request."""

from collections.abc import Callable
from dataclasses import dataclass

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.pagination.places import ToBody, ToQuery, position
from sim_sync.carriers.pagination.rule import Pagination, PathOf, RecordsOf
from sim_sync.carriers.paths import Lookup
from sim_sync.core.errors import UnexpectedAnswer
from sim_sync.core.pages import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset(Pagination):
    """The key of the last record leads on.

    `more` says whether the list goes on; without it an empty page is the end. Messages call the key `key_name`.
    """

    first: Ask
    records: RecordsOf
    key: Lookup
    key_name: str
    sent_to: ToQuery | ToBody
    more: Callable[[Answer], bool] | None = None

    def ask(self, cursor: Cursor) -> Ask:
        """Return the first request, with the last key from the second page on."""
        return self.sent_to.put(self.first, cursor["after"]) if cursor else self.first

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Say no: a key is a place in the list, which is there whoever asks."""
        return False

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether no flag ends the list."""
        return self.more is None

    def next_cursor(self, cursor: Cursor, answer: Answer, path_of: PathOf) -> Cursor | None:
        """Return the key of the last record."""
        records = self.records(answer)
        if not (bool(records) if self.more is None else self.more(answer)):
            return None
        if not records:
            raise UnexpectedAnswer(
                f"the carrier says that there is more, but its page is empty: without a last record there is no "
                f"{self.key_name} to go on from, and the end cannot be told. Nothing is lost: try again later"
            )
        after = position(self.key(records[-1]), f"{self.key_name} of the last record")
        if after is None:
            raise UnexpectedAnswer(
                f"expected {self.key_name} in the last record to go on from, found none: the list cannot be followed. "
                "Check that this account's list carries it"
            )
        return {"after": after}
