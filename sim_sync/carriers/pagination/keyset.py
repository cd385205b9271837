"""The next page begins after the last record of this one: its key goes into the next request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from sim_sync.carriers.json_bodies import Lookup
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.positional import int_in
from sim_sync.carriers.pagination.rule import Pagination, PathOf, RecordsOf, ToBody, ToQuery, position
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset(Pagination):
    """The key of the last record leads on.

    `more` says whether the list continues; without it an empty page is the end, or one that holds only what the page
    before it ended with: some carriers begin with the key itself, not behind it. Messages call the key `key_name`.

    A cursor is `shared` once records of a page had the same key: where the next page does not begin with that key
    again, others that have it may stand between the two. `tied` counts the records at the end of a page that share it.
    It is `alone` where no record of the page had another key: a carrier that does not look at the key at all would give
    that page again, too.
    """

    first: Request
    records: RecordsOf
    key: Lookup
    key_name: str
    sent_to: ToQuery | ToBody
    more: Callable[[Response], bool] | None = None

    def request(self, cursor: Cursor) -> Request:
        """Return the first request, with the last key from the second page on."""
        return self.sent_to.put(self.first, cursor["after"]) if cursor else self.first

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Say no: a key is a place in the list, which is there whoever asks."""
        return False

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether no flag ends the list."""
        return self.more is None

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the key of the last record."""
        records = self.records(response)
        brings_more = len(records) > self.overlap(cursor, response) if self.more is None else self.more(response)
        if not brings_more:
            return None
        if not records:
            raise UnexpectedResponse(
                f"the carrier says that there is more, but its page is empty: without a last record there is no "
                f"{self.key_name} to continue from, and the end cannot be told. Nothing is lost: try again later"
            )
        keys = self._keys(response)
        after = position(keys[-1], f"{self.key_name} of the last record")
        if after is None:
            raise UnexpectedResponse(
                f"expected {self.key_name} in the last record to continue from, found none: the list cannot be "
                "followed. Check that this account's list carries it"
            )
        tied = _equal_ones(reversed(keys), after)
        shared = "shared" in cursor or len(set(map(repr, keys))) < len(keys)
        is_alone = self.more is None and tied == len(keys)
        kept = {"tied": tied if tied > 1 else None, "shared": shared or None, "alone": is_alone or None}
        return {"after": after, **{name: value for name, value in kept.items() if value is not None}}

    def overlap(self, cursor: Cursor, response: Response) -> int:
        """Return how many records ended the page before, where the carrier begins with the key itself."""
        if not cursor or "alone" in cursor:
            return 0
        return min(_equal_ones(self._keys(response), cursor["after"]), int_in(cursor, "tied", 1))

    def gap(self, cursor: Cursor, response: Response) -> str | None:
        """Return why records may have been passed over: the list is not in the order of its key, or they share one."""
        keys = self._keys(response)
        if "shared" in cursor and not self.overlap(cursor, response):
            return f"records share their {self.key_name}, so some at the edge of a page may have been passed over"
        if not _is_in_order(keys):
            return f"the list is not in the order of {self.key_name}, so some records may have been passed over"
        return None

    def _keys(self, response: Response) -> Sequence[Any]:
        return [self.key(record) for record in self.records(response)]


def _equal_ones(keys: Any, key: Any) -> int:
    """Return how many keys at the beginning are this one."""
    return sum(1 for _ in takewhile(lambda one: one == key, keys))


def _is_in_order(keys: Sequence[Any]) -> bool:
    """Return whether keys rise or fall, as far as that can be told: how a carrier sorts other text is not known."""
    if all(isinstance(key, int) or (isinstance(key, str) and key.isascii() and key.isdigit()) for key in keys):
        return _rises_or_falls([int(key) for key in keys]) or _rises_or_falls([str(key) for key in keys])
    if all(isinstance(key, str) and key.isascii() and key.isalnum() for key in keys):
        return _rises_or_falls(keys) or _rises_or_falls([key.lower() for key in keys])
    return True


def _rises_or_falls(keys: Sequence[Any]) -> bool:
    steps = list(pairwise(keys))
    return all(one <= other for one, other in steps) or all(one >= other for one, other in steps)
