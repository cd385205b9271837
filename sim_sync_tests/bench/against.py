"""This build against others: the same walks in turn, told as ratios, so that a busy machine is busy for all of them."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sim_sync_tests.bench.contenders import Build, Contender, Took, this_build
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases, recorded_fleet
from sim_sync_tests.fakes.databases import fresh_postgres_database


@dataclass(frozen=True, slots=True)
class WalksTaken:
    """What the walks of one contender took: the first one, and those of the nights after it."""

    first: Took
    again: Sequence[Took]

    def rate(self, *, of_first: bool) -> float:
        """SIMs a second of the first walk, or the median of the others."""
        return self.first.rate if of_first else statistics.median(took.rate for took in self.again)

    def cpu(self, *, of_first: bool) -> float:
        """Microseconds of its own process' CPU for a SIM."""
        tooks = [self.first] if of_first else self.again
        return statistics.median(1e6 * took.cpu / took.records for took in tooks)


def walks(others: Sequence[Contender], sims: int, nights: int) -> Iterator[Figure]:
    """Measure a first walk and re-walks of an unchanged fleet, by this build and by each of the others, in turn."""
    contenders = [this_build(), *others]
    with databases() as urls, recorded_fleet(sims) as carrier_url:
        this_build().walk(carrier_url, urls["SQLite"].replace("warehouse", "recording"))
        for database, url in urls.items():
            yield from _told(database, others, _walk_in_turn(contenders, carrier_url, url, nights), sims)


def _walk_in_turn(contenders: Sequence[Contender], carrier_url: str, url: str, nights: int) -> Mapping[str, WalksTaken]:
    again: dict[str, list[Took]] = {each.name: [] for each in contenders}
    with ExitStack() as opened:
        places = {each.name: opened.enter_context(_place_for(each, url)) for each in contenders}
        firsts = {each.name: each.walk(carrier_url, places[each.name]) for each in contenders}
        for _ in range(nights):
            for each in contenders:
                again[each.name].append(each.walk(carrier_url, places[each.name]))
    return {name: WalksTaken(firsts[name], again[name]) for name in firsts}


@contextmanager
def _place_for(contender: Contender, url: str) -> Iterator[str]:
    """Yield the URL of an empty database of this contender's own."""
    if url.startswith("sqlite"):
        yield url.replace("warehouse", contender.name.replace(" ", "-"))
        return
    with fresh_postgres_database(url) as own:
        yield own


def _told(database: str, others: Sequence[Contender], found: Mapping[str, WalksTaken], sims: int) -> Iterator[Figure]:
    ours = found[this_build().name]
    for of_first, walk in ((True, "first walk"), (False, "unchanged re-walk")):
        what = f"{database}: {walk} of {sims:,} SIMs"
        yield Figure(what, ours.rate(of_first=of_first), "SIMs/s")
        yield Figure(f"{what}: CPU of its process", ours.cpu(of_first=of_first), "µs a SIM")
        for other in others:
            theirs = found[other.name]
            goal = _goal(other, database, of_first=of_first)
            ratio = ours.rate(of_first=of_first) / theirs.rate(of_first=of_first)
            yield Figure(f"{what}, against {other.name}", ratio, "x", at_least=goal)
            share = theirs.cpu(of_first=of_first) / ours.cpu(of_first=of_first)
            yield Figure(f"{what}, CPU of its process against {other.name}", share, "x")


def _goal(other: Contender, database: str, *, of_first: bool) -> float | None:
    if isinstance(other, Build):
        return 1.6 if of_first else 2.5
    if of_first:
        return 3.0
    return 4.5 if database == "PostgreSQL" else None
