"""What a session has to be after any history, told from the history as a whole and from nothing else.

Nothing of the program's own rules is used: no table, no event function, no formula. A field is what a look back at all
that has happened says it is.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

#: The states that each happening may come from, and the one it leads to, as `docs/how-a-sync-survives.md` draws them.
WAYS: Mapping[str, tuple[frozenset[str], str | None]] = {
    "page": (frozenset({"running", "paused"}), None),
    "restart": (frozenset({"running", "paused"}), None),
    "renewal": (frozenset({"running"}), None),
    "lost": (frozenset({"running"}), "interrupted"),
    "stopped": (frozenset({"running"}), "interrupted"),
    "waits": (frozenset({"running"}), "parked"),
    "pause": (frozenset({"running", "interrupted", "parked", "failed"}), "paused"),
    "gave up": (frozenset({"running", "interrupted", "parked"}), "failed"),
    "end": (frozenset({"running"}), "completed"),
    "takeover": (frozenset({"running", "interrupted", "parked", "failed"}), "running"),
    "resume": (frozenset({"paused", "failed", "parked"}), "interrupted"),
    "replaced": (frozenset({"running", "interrupted", "parked", "paused", "failed"}), "superseded"),
    "decision": (frozenset({"completed"}), None),
}

#: After these, nobody is at work any more, or not on the walk that an end was promised for.
ENDS_A_PROMISE = {
    "opening",
    "restart",
    "takeover",
    *(what for what, (_, to) in WAYS.items() if to not in {None, "running"}),
}


@dataclass(frozen=True)
class Happening:
    """One thing that happened to a session: what, when, and the facts that came with it."""

    what: str
    at: datetime
    facts: Mapping[str, Any]

    def __getitem__(self, fact: str) -> Any:
        return self.facts[fact]

    def get(self, fact: str, otherwise: Any = None) -> Any:
        return self.facts.get(fact, otherwise)


@dataclass
class SessionModel:
    """A session as the list of what has happened to it, its opening first."""

    history: list[Happening] = field(default_factory=list)

    def happens(self, what: str, at: datetime, **facts: Any) -> None:
        """Put down one more thing that happened."""
        self.history.append(Happening(what, at, facts))

    def may_happen(self, what: str) -> bool:
        """Return whether this can happen to the session as it is."""
        return self.state() in WAYS[what][0]

    def expected(self) -> dict[str, Any]:
        """Return every field that the history says something about."""
        pages, walk, opening = self._all("page"), self._walk(), self.history[0]
        return {
            "state": self.state(),
            "cursor": (walk[-1]["leads_to"] if walk else opening["cursor"]),
            "fence": 1 + len(self._all("takeover")),
            "owner": self._last("opening", "takeover")["owner"],
            "started_at": opening.at,
            "updated_at": self._last_but("renewal").at,
            "finished_at": next((one.at for one in self.history if one.what in {"end", "replaced"}), None),
            "pages_done": len(walk),
            "records_seen": sum(page["records"] for page in walk),
            "records_quarantined": sum(page["unreadable"] for page in walk),
            "records_added": sum(page["added"] for page in pages),
            "records_changed": sum(page["changed"] for page in pages),
            "retries": sum(one.get("retries", 0) for one in self.history),
            "throttled_seconds": sum(one.get("throttled", 0.0) for one in self.history),
            "records_expected": self._records_expected(),
            "pages_expected": len(walk) if self.state() == "completed" else self._pages_expected(),
            "lease_expires_at": self._lease(),
            "eta_at": self._eta(),
            "not_before": self._not_before(),
            "stalled_resumes": self._stalled(),
            **self._last_error(),
            **self._sweep(),
        }

    def may_be_decided(self) -> bool:
        """Return whether a person may still decide on its sweep."""
        ends, decisions = self._all("end"), self._all("decision")
        return bool(ends) and ends[-1]["sweep"] == "held" and not decisions

    def expected_internals(self) -> dict[str, Any]:
        """Return what has to be remembered besides."""
        owner, walk = self._last("opening", "takeover"), self._walk()
        before = self._all("page")[: len(self._all("page")) - len(walk)]
        told = [page["total"] for page in self._all("page")]
        return {
            "sims_listed": sum(page["sims"] - page["overlap"] for page in walk),
            "total_fallen": sum(self._falls()),
            "total_is_stale": self._total_is_stale(),
            "walk_gap": next((page["gap"] for page in walk if page["gap"]), None),
            "end_doubt": walk[-1]["end_doubt"] if walk else None,
            "lease_seconds": owner["lease_seconds"],
            "owner_pid": owner["pid"],
            "carrier_total": next((total for total in reversed(told) if total is not None), None),
            "walk_restarts": len(self._all("restart")),
            "earlier_pages": len(before),
            "earlier_records": sum(page["records"] for page in before),
            "sims_seen": next((one["sims_seen"] for one in self._all("end")), None),
        }

    def pace(self) -> float | None:
        """Return the weighted mean of this owner's last pages, none of which counts as more than three usual ones."""
        times = [max((page.at - before.at).total_seconds() - page["throttled"], 0.0) for before, page in self._steps()]
        last = times[-20:]
        if len(last) < 3:
            return None
        ordered = sorted(last)
        usual = (ordered[(len(last) - 1) // 2] + ordered[len(last) // 2]) / 2
        weights = [0.9**age for age in range(len(last))][::-1]
        counted = sum(weight * min(seconds, 3 * usual) for weight, seconds in zip(weights, last, strict=True))
        return float(counted / sum(weights))

    def state(self) -> str:
        """Return the state that the last moving happening led to."""
        led = [WAYS[one.what][1] for one in self.history[1:]]
        return next((state for state in reversed(led) if state is not None), "running")

    # --- looking back ------------------------------------------------------------------------------------------------

    def _all(self, *whats: str) -> list[Happening]:
        return [one for one in self.history if one.what in whats]

    def _last(self, *whats: str) -> Happening:
        return self._all(*whats)[-1]

    def _last_but(self, what: str) -> Happening:
        return [one for one in self.history if one.what != what][-1]

    def _since(self, *whats: str) -> list[Happening]:
        """Return what came after the last of these, or everything."""
        places = [place for place, one in enumerate(self.history) if one.what in whats]
        return self.history[places[-1] + 1 :] if places else self.history

    def _place_of_last(self, what: str) -> int:
        return max(place for place, one in enumerate(self.history) if one.what == what)

    def _before(self, place: int) -> "SessionModel":
        """Return the session as it was before the happening at this place."""
        return SessionModel(self.history[:place])

    def _walk(self) -> list[Happening]:
        return [one for one in self._since("restart") if one.what == "page"]

    def _steps(self) -> list[tuple[Happening, Happening]]:
        """Return every page of this owner with the page before it, unless the walk has started again in between."""
        own = [one for one in self._since("takeover") if one.what in {"page", "restart"}]
        return [(before, one) for before, one in itertools.pairwise(own) if {before.what, one.what} == {"page"}]

    # --- fields ------------------------------------------------------------------------------------------------------

    def _lease(self) -> datetime | None:
        seconds = self._last("opening", "takeover")["lease_seconds"]
        if self.state() == "running":
            return self._last("opening", "takeover", "page", "renewal").at + timedelta(seconds=seconds)
        if self.state() != "paused":
            return None
        # A person's pause leaves it to the owner until it has written once more; whoever stops by itself gives it back.
        pause = self._place_of_last("pause")
        has_written_since = bool(self.history[pause + 1 :])
        return None if has_written_since or self.history[pause]["by_owner"] else self._before(pause)._lease()

    def _not_before(self) -> datetime | None:
        wait = self.history[-1]
        if self.state() != "parked":
            return None
        seconds: float | None = wait["wait_seconds"]
        return None if seconds is None else wait.at + timedelta(seconds=seconds)

    def _stalled(self) -> int:
        if self.state() == "completed":
            return 0
        count = 0
        for one in self._since("page", "resume"):
            if one.what == "takeover":
                count = count + 1 if one["counts"] else 0
        return count

    def _last_error(self) -> dict[str, Any]:
        told = next((one for one in reversed(self.history) if one.get("error") is not None), None)
        error, at = (None, None) if told is None else (told["error"], told.at)
        return {"last_error": error, "last_error_at": at}

    def _sweep(self) -> dict[str, Any]:
        """Return what became of its sweep: what its end left, and what the one decision that counts made of it."""
        ends, decisions = self._all("end"), self._all("decision")
        word = "pending" if not ends else ends[-1]["sweep"]
        by = at = why = None
        if decisions:
            (decision,) = decisions
            word = {"approve": "approved", "reject": "rejected"}[decision["choice"]]
            by, at, why = decision["by"], decision.at, decision["reason"]
        return {
            "sweep_state": word,
            "sweep_decided_by": by,
            "sweep_decided_at": at,
            "sweep_decision_reason": why,
        }

    def _falls(self) -> list[int]:
        """Return by how much the carrier's total fell at each page of the walk; what it last told, it told earlier."""
        told = [(place, page["total"]) for place, page in enumerate(self._all("page")) if page["total"] is not None]
        first_of_walk = len(self._all("page")) - len(self._walk())
        pairs = itertools.pairwise(told)
        return [max(before - now, 0) for (_, before), (place, now) in pairs if place >= first_of_walk]

    def _total_is_stale(self) -> bool:
        """Return whether the newest page of the walk has no total, after the carrier told one before."""
        walk = self._walk()
        return bool(walk) and walk[-1]["total"] is None and any(one["total"] is not None for one in self._all("page"))

    def _records_expected(self) -> int | None:
        totals = [self.history[0]["expects"], *(page["total"] for page in self._all("page"))]
        return next((total for total in reversed(totals) if total is not None), None)

    def _pages_expected(self) -> int | None:
        """Return what the last page of all said: its walk's mean page size says how many the list makes."""
        if not self._all("page"):
            return None
        then = self._before(self._place_of_last("page") + 1)
        walk, records = then._walk(), then._records_expected()
        seen = sum(page["records"] for page in walk)
        if walk[-1]["pages"] is not None or records is None or seen == 0:
            return cast("int | None", walk[-1]["pages"])
        pages: int = max(math.ceil(records * len(walk) / seen), len(walk))
        return pages

    def _eta(self) -> datetime | None:
        """Return the end that the last page promised; who stops, loses its owner or starts again takes it back."""
        pages = [one for one in self._since(*ENDS_A_PROMISE) if one.what == "page"]
        expected, pace = self._pages_expected(), self.pace()
        if self.state() != "running" or not pages or expected is None or pace is None:
            return None
        remaining = expected - len(self._walk())
        return None if remaining < 0 else pages[-1].at + timedelta(seconds=remaining * pace)
