"""The company's own view of a simulated fleet, with differences whose number and place are known beforehand.

Deterministic and the same in every release: an example inventory is written once and read for years.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.core.text import counted
from sim_sync.simulator.fleet import Fleet

#: The columns of the file.
INVENTORY_COLUMNS = ("ICCID", "Carrier", "State", "MSISDN", "Rate plan", "Label")

#: The company's word for each place in the lifecycle; `inventory.statuses` in `carriers.yaml` is this, turned around.
COMPANY_STATES: Mapping[str, str] = {
    Lifecycle.INVENTORY.value: "STOCK",
    Lifecycle.TEST_READY.value: "TEST",
    Lifecycle.ACTIVATION_READY.value: "READY",
    Lifecycle.ACTIVE.value: "LIVE",
    Lifecycle.SUSPENDED.value: "STOPPED",
    Lifecycle.DEACTIVATED.value: "OFF",
    Lifecycle.TERMINATED.value: "ENDED",
    Lifecycle.REPLACED.value: "SWAPPED",
    Lifecycle.UNKNOWN.value: "UNCLEAR",
}

# A step of about the golden ratio spreads any number of differences evenly over the fleet.
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class DifferenceCounts:
    """How many SIMs differ: `missing` ours but not at the carrier, `unknown` the reverse, `status` told differently."""

    missing: int = 0
    unknown: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Differences:
    """Which SIMs differ, as what a comparison has to find: ICCIDs, and for `status` our word and the carrier's.

    Both words are sim_sync's lifecycle words.
    """

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    status: Mapping[str, tuple[str, str]]


def parse_difference_counts(text: str) -> DifferenceCounts:
    """Read `missing=12,unknown=8,status=25`; what is left out is 0.

    Raises:
        InputError: something else is written there.
    """
    known = {field.name for field in fields(DifferenceCounts)}
    counts: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in known or not (number.isascii() and number.isdigit()):
            raise InputError(f"differences: expected {', '.join(f'{n}=NUMBER' for n in sorted(known))}; found {part!r}")
        counts[name] = int(number)
    return DifferenceCounts(**counts)


def decide_differences(fleet: Fleet, counts: DifferenceCounts) -> Differences:
    """Decide which SIMs of a fleet differ from the company's view of it.

    Raises:
        InputError: the fleet has too few SIMs for so many differences.
    """
    live = fleet.live_count
    if counts.unknown + counts.status > live:
        raise InputError(
            f"differences: expected at most {counted(live, 'SIM')} to differ, found {counts.unknown + counts.status}"
        )
    spread = [fleet.live_at(offset) for offset in _spread(counts.unknown + counts.status, live)]
    differing = [fleet.sim(index) for index in spread]
    words = [word.value for word, _ in fleet.fleet_spec.profile.status_weights]
    return Differences(
        missing=tuple(fleet.fleet_spec.absent_iccid(number) for number in range(counts.missing)),
        unknown=tuple(sim.iccid or "" for sim in differing[: counts.unknown]),
        status={sim.iccid or "": (_other_word(words, sim.status), sim.status) for sim in differing[counts.unknown :]},
    )


def inventory_rows(fleet: Fleet, carrier: str, differences: Differences) -> Iterator[tuple[str, ...]]:
    """Yield the company's rows, in the order of `INVENTORY_COLUMNS`: the fleet's first, the missing SIMs last."""
    unknown = frozenset(differences.unknown)
    position = -1
    while indices := fleet.live_after(position, 1000):
        position = indices[-1]
        for sim in map(fleet.sim, indices):
            iccid = sim.iccid or ""
            if iccid in unknown:
                continue
            status, _ = differences.status.get(iccid, (sim.status, sim.status))
            rest = (sim.msisdn or "", sim.rate_plan or "", sim.label or "")
            yield (iccid, carrier, COMPANY_STATES[status], *rest)
    for number, iccid in enumerate(differences.missing):
        yield (iccid, carrier, COMPANY_STATES[Lifecycle.ACTIVE], "", "", f"lost-{number:04}")


def write_inventory(path: Path, fleet: Fleet, carrier: str, differences: Differences) -> int:
    """Write the company's rows as CSV with a header line, and return how many rows there are."""
    count = 0
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(INVENTORY_COLUMNS)
            for row in inventory_rows(fleet, carrier, differences):
                writer.writerow(row)
                count += 1
    except OSError as problem:
        raise InputError(f"cannot write the inventory to {path}: {problem.strerror}") from None
    return count


def _spread(count: int, total: int) -> Iterator[int]:
    """Yield `count` different numbers below `total`, evenly spread."""
    step = max(1, round(total * _GOLDEN))
    while math.gcd(step, total) != 1:
        step += 1
    return (number * step % total for number in range(count))


def _other_word(words: list[str], word: str) -> str:
    return next(other for other in (*words, Lifecycle.SUSPENDED.value) if other != word)
