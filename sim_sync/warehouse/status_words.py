"""Status words without a place in the lifecycle: one finding a word, however many SIMs have it.

A SIM whose status is `unknown` has no status mismatch: nobody knows what its word means. To report each of them would
bury what really differs, and naming the word once mends them all.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from sim_sync.core.counting import counted
from sim_sync.core.discrepancies import Kind
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG, Lifecycle
from sim_sync.warehouse.matching import ours
from sim_sync.warehouse.severity import MEDIUM
from sim_sync.warehouse.tables import carrier_sims

#: A carrier that writes another text for each SIM has no status words: the rarest are one finding together.
MOST_WORDS = 20
#: Such a finding is about a word and not about a SIM: this is before the word, in the place of an ICCID.
_WORD = "word:"
_OTHER_WORDS = "words:others"

_sims = carrier_sims.c


def counted_by_carrier_and_word() -> sa.Select[Any]:
    """Return the query for the carriers' unlisted words, with the number of present SIMs; all words are asked for."""
    flagged = sa.cast(_sims.quality_flags, sa.Text()).like(f'%"{UNKNOWN_STATUS_FLAG}"%')
    # Not a parameter: PostgreSQL would take the one in GROUP BY for another expression.
    word = sa.func.coalesce(_sims.carrier_status, sa.literal_column("''"))
    is_unlisted = sa.and_(_sims.status == Lifecycle.UNKNOWN.value, _sims.vanished_at.is_(None), flagged)
    return sa.select(_sims.carrier, word, sa.func.count()).where(is_unlisted).group_by(_sims.carrier, word)


def unlisted_words(connection: sa.Connection, carrier: str) -> list[dict[str, str | None]]:
    """Return a finding for each status word that cannot be compared, as rows of `found`; `ours` is filled by then."""
    query = counted_by_carrier_and_word().where(_sims.carrier == carrier)
    counts = {str(word): int(count) for _carrier, word, count in connection.execute(query)}
    theirs = [_finding("carrier_status", name, theirs=told) for name, told in _by_word(counts)]
    is_unknown = ours.c.status == Lifecycle.UNKNOWN.value
    count = connection.execute(sa.select(sa.func.count()).select_from(ours).where(is_unknown)).scalar_one()
    if not count:
        return theirs
    told = f"{_sims_have(count)} a status word that our list's `statuses` do not name"
    return [*theirs, _finding("status", f"{_WORD}{Lifecycle.UNKNOWN.value}", ours=told)]


def _by_word(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield a name and a sentence for each word, the commonest first, and for the rest of them together."""
    words = sorted(counts, key=lambda word: (-counts[word], word))
    kept = words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1]
    for word in kept:
        yield f"{_WORD}{word}", f"{_sims_have(counts[word])} the unlisted word {word}"
    if rest := words[len(kept) :]:
        others = counted(len(rest), "more unlisted word", "more unlisted words")
        yield _OTHER_WORDS, f"{_sims_have(sum(counts[word] for word in rest))} one of {others}"


def _sims_have(count: int) -> str:
    return counted(count, "SIM has", "SIMs have")


def _finding(field: str, name: str, **told: str) -> dict[str, str | None]:
    row = {"kind": Kind.QUALITY.value, "field": field, "iccid": name, "severity": MEDIUM}
    return {"ours": None, "theirs": None, **row, **told}
