"""A carrier's list with all that lists get wrong: order, totals, parameters, sizes, and what stands behind the end.

Written from what carriers were seen to do, and from nothing of our rules. A night is one way to behave.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.fakes.raw_server import Received, reply

#: What a total may count.
COUNTS = (
    "sims",
    "pages",
    "remaining",
    "remaining with this page",
    "this page",
    "active only",
    "capped",
    "moving",
    "this page's number",
    "nothing",
    "unknown",
    "told once",
)
ORDERS = ("stable", "shuffled", "swapped")
PARAMETERS = ("obeyed", "ignored", "size ignored", "size capped")
BEHIND = ("empty", "404", "204", "null", "400", "last page", "first page", "500")


@dataclass(frozen=True)
class Night:
    """How the carrier behaves for a night, and what happens to its fleet before and during the walk."""

    counts: str = "sims"
    order: str = "stable"
    parameters: str = "obeyed"
    behind: str = "empty"
    removed_before: int = 0
    added_before: int = 0
    #: Before that many requests of the night, one SIM comes at the front of the list.
    grows_at: frozenset[int] = frozenset()
    #: Before that many requests of the night, the SIM at this place leaves.
    shrinks_at: dict[int, int] = field(default_factory=dict)


@dataclass
class OddList:
    """A list of SIMs, by `page` and `size`, by `offset` and `size`, by `after`, or by links that hold a page number."""

    size: int
    seed: int
    fleet: list[int] = field(default_factory=list)
    night: Night = field(default_factory=Night)
    requests: int = 0
    #: The list is in the order of its key.
    by_key: bool = False

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._next = max(self.fleet, default=-1) + 1
        self.there_all_night = set(self.fleet)

    def begin(self, night: Night) -> None:
        """Begin a night: the fleet changes, and the carrier behaves in another way."""
        self.night, self.requests = night, 0
        for _ in range(min(night.removed_before, len(self.fleet))):
            self.fleet.remove(self._chance.choice(self.fleet))
        for _ in range(night.added_before):
            self._add(len(self.fleet))
        self.there_all_night = set(self.fleet)

    def _add(self, place: int) -> None:
        self.fleet.insert(place, self._next)
        self._next += 1

    def __call__(self, received: Received) -> bytes:
        """Answer a request."""
        self._move()
        self.requests += 1
        asked = {name: values[0] for name, values in received.query.items()}
        size = self._page_size(asked)
        rows = self._ordered()
        start = self._start(asked, rows, size)
        if start >= len(rows) and start > 0:
            return self._behind(rows, size, asked)
        return self._page(rows, start, size, asked)

    def _move(self) -> None:
        if self.requests in self.night.grows_at:
            self._add(0)
        place = self.night.shrinks_at.get(self.requests)
        if place is not None and place < len(self.fleet):
            self.there_all_night.discard(self.fleet.pop(place))

    def _page_size(self, asked: dict[str, str]) -> int:
        size = int(asked.get("size", self.size))
        if self.night.parameters == "size ignored":
            return self.size + 3
        return max(size // 2, 1) if self.night.parameters == "size capped" else size

    def _ordered(self) -> list[int]:
        rows = list(self.fleet)
        if self.by_key:
            return sorted(rows)
        if self.night.order == "shuffled":
            self._chance.shuffle(rows)
        elif self.night.order == "swapped" and self.requests % 2 == 0:
            for place in range(self.size, len(rows), self.size):
                rows[place - 1], rows[place] = rows[place], rows[place - 1]
        return rows

    def _start(self, asked: dict[str, str], rows: list[int], size: int) -> int:
        if self.night.parameters == "ignored":
            return 0
        if "after" in asked:
            return sum(row <= int(asked["after"]) for row in rows)
        if "offset" in asked:
            return int(asked["offset"])
        return (int(asked.get("page", "1")) - 1) * size

    def _behind(self, rows: list[int], size: int, asked: dict[str, str]) -> bytes:
        match self.night.behind:
            case "404" | "400" | "500":
                return reply(int(self.night.behind), {"detail": "no such page"})
            case "204":
                return reply(204, None)
            case "null":
                return reply(200, {"data": None, **self._totals(rows, len(rows), 0, size, asked)})
            case "last page":
                return self._page(rows, max((len(rows) - 1) // size * size, 0), size, asked)
            case "first page":
                return self._page(rows, 0, size, asked)
            case _:
                return self._page(rows, len(rows), size, asked)

    def _page(self, rows: list[int], start: int, size: int, asked: dict[str, str]) -> bytes:
        given = rows[start : start + size]
        page = int(asked.get("page", "1"))
        body = {
            "data": [{"id": str(row), "iccid": iccid(row), "state": "active"} for row in given],
            "next": f"/v1/sims?size={size}&page={page + 1}" if start + size < len(rows) else None,
            "cursor": str(page + 1) if start + size < len(rows) else None,
            "last": start + size >= len(rows),
            **self._totals(rows, start, len(given), size, asked),
        }
        return reply(200, json.loads(json.dumps(body)))

    def _totals(self, rows: list[int], start: int, given: int, size: int, asked: dict[str, str]) -> dict[str, Any]:
        count = len(rows)
        is_first = self.requests == 1
        totals = {
            "sims": count,
            "pages": -(-count // size),
            "remaining": max(count - start - size, 0),
            "remaining with this page": max(count - start, 0),
            "this page": given,
            "active only": count // 2,
            "capped": min(count, 2 * size),
            "moving": max(count + self._chance.randint(-3, 3), 0),
            "this page's number": int(asked.get("page", "1")),
            "nothing": 0,
            "unknown": None,
            "told once": count if is_first else None,
        }
        pages = totals if self.night.counts != "sims" else totals | {"sims": -(-count // size)}
        return {"total": totals[self.night.counts], "pages": pages[self.night.counts]}
