"""What a carrier's page is to the sync: SIMs, unreadable records, and where the walk continues.

A cursor is a small JSON object that only its connector understands. Everything before it is committed; it holds no
secret. `None` in its place means that the carrier itself said: this was the last page.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sim_sync.core.sims import Sim

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Cursor: TypeAlias = Mapping[str, JsonValue]


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def cursor_digest(cursor: Cursor) -> str:
    """Return 16 hex digits that name a cursor, for comparing it with all the earlier ones of its walk."""
    return digest_of(cursor)


def digest_of(value: object) -> str:
    """Return 16 hex digits that name a JSON value, whatever characters are in it."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that cannot be a SIM; it goes to `quarantined_records` and the walk continues.

    `position` counts from 0 in its page; `payload` is the record as JSON text, its secrets removed.
    """

    position: int
    reason: str
    payload: str


@dataclass(frozen=True, slots=True)
class Effort:
    """What it cost to get one page: requests repeated, and seconds spent waiting because the carrier said so."""

    retries: int = 0
    throttled_seconds: float = 0.0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page as fetched.

    `records` counts what the carrier sent, whether or not it could be read; `records_total` and `pages_total` are the
    carrier's own totals for the whole list, where it gives them. `overlap` counts the SIMs that stood on the page
    before too, by the paging's design. `is_reread` marks a page that need not bring anything new. `gap` says why SIMs
    may have been passed over before this page, `end_doubt` why the end may be none. `moves_unseen`: nothing tells
    whether records that left have let others move up from page to page. `suspect` says what of our own configuration
    is likely to be wrong where pages repeat; None where only the carrier's address can be.
    """

    sims: Sequence[Sim]
    next_cursor: Cursor | None
    records: int
    rejected: Sequence[QuarantinedRecord] = ()
    records_total: int | None = None
    pages_total: int | None = None
    overlap: int = 0
    is_reread: bool = False
    gap: str | None = None
    end_doubt: str | None = None
    moves_unseen: bool = False
    suspect: str | None = None
    effort: Effort = field(default_factory=Effort)

    @property
    def advice_on_repeats(self) -> str:
        """What to do where this page leads to one that was fetched before: first look at what is our own."""
        if self.suspect is None:
            return "Is `base_url` in carriers.yaml that of this API? If it is, report this to the carrier"
        return (
            f"Most likely {self.suspect}: compare that with the carrier's documentation. If it is right, report this "
            "to the carrier"
        )
