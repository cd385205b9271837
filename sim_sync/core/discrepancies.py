"""The words of `sim_discrepancies`, and the sentence that says where changes concentrate. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sim_sync.core.sims import Lifecycle

# The words of `sim_discrepancies`, and a company's own rules about them: how bad something is, and what it costs.


class Kind(StrEnum):
    """What differs."""

    #: Our list has it, the carrier does not.
    MISSING_AT_CARRIER = "missing_at_carrier"
    #: The carrier has it, our list does not.
    UNKNOWN_TO_US = "unknown_to_us"
    #: Our list has it at one carrier, and another one has it.
    WRONG_CARRIER = "wrong_carrier"
    #: Both have it, and tell one field of it differently.
    MISMATCH = "mismatch"
    #: One ICCID is there twice: at two carriers, or under two ids of one.
    DUPLICATE_ICCID = "duplicate_iccid"
    #: Something about the data keeps SIMs from being compared: a bad identifier, a status word that nobody has listed.
    QUALITY = "quality"


class Side(StrEnum):
    """Who ended a discrepancy."""

    OURS = "ours"
    THEIRS = "theirs"
    #: Neither side has changed: it is no longer looked for, or its rules are others.
    CONFIG = "config"


class Severity(StrEnum):
    """How bad a discrepancy is, from the worst to the mildest."""

    #: It costs money or connectivity now.
    HIGH = "high"
    #: It should be put right.
    MEDIUM = "medium"
    #: It can wait.
    LOW = "low"


#: The fields that can be compared, because both sides have them.
COMPARABLE_FIELDS: tuple[str, ...] = ("status", "msisdn", "imsi", "imei", "eid", "rate_plan", "label")
#: Amounts are counted in whole ten-thousandths of the currency: exact in every database.
UNITS = 10_000


class SeverityRule(NamedTuple):
    """Its own severity of some discrepancies: an empty tuple is any; `ours` and `theirs` as the row has them."""

    severity: Severity
    kinds: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a SIM costs a month by its plan; `default` is for all other plans, None where nobody knows.

    A SIM is on the bill while the carrier has it in one of the `billed` statuses.
    """

    currency: str
    plans: Mapping[str, Decimal]
    default: Decimal | None = None
    billed: Sequence[Lifecycle] = (Lifecycle.ACTIVE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyRules:
    """What a company says about its discrepancies, beside the fields that are compared.

    `carriers` are all those among which a SIM may move; `severity` has the rules that go before ours, the first that
    fits first.
    """

    carriers: Sequence[str] = ()
    severity: Sequence[SeverityRule] = ()
    prices: Prices | None = None


def in_units(amount: Decimal) -> int:
    """Return an amount in whole ten-thousandths."""
    return int(amount * UNITS)


def from_units(units: int) -> Decimal:
    """Return the amount of so many ten-thousandths."""
    return Decimal(units) / UNITS


def shown_amount(amount: Decimal) -> str:
    """Return an amount for people and machines: `1,234.50` without the comma, two decimals, or as many as it needs."""
    text = f"{amount:.4f}"
    return text[:-2] if text.endswith("00") else text.removesuffix("0")


# Where changes concentrate: in one sentence where one group of SIMs has far more of them than its share, else
# nothing.
#
# Chance alone puts changes on SIMs as a draw without favourites would: of `n` changes a group with the share `p` of
# the SIMs gets `n * p` of them, give or take `sqrt(n * p * (1 - p))` (the binomial distribution).


#: Of fewer changes nothing is said: a handful is no pattern.
MIN_CHANGES = 20
#: The group has at least this share of the changes, so many times its share of the SIMs,
MIN_SHARE = 0.5
_MIN_LIFT = 3.0
#: and is so many standard deviations above chance, which many groups that are looked at do not reach by chance either.
_MIN_DEVIATIONS = 6.0


class Concentration(NamedTuple):
    """How many of the changes of a field, and how many of the SIMs, one group has."""

    field: str
    #: What the group has in common, as `plan`, and the value of that.
    group: str
    value: str
    changes: int
    all_changes: int
    sims: int
    all_sims: int

    @property
    def share_of_changes(self) -> float:
        """The group's share of the changes, 0 to 1."""
        return self.changes / self.all_changes if self.all_changes else 0.0

    @property
    def share_of_sims(self) -> float:
        """The group's share of the SIMs, 0 to 1."""
        return self.sims / self.all_sims if self.all_sims else 1.0

    @property
    def deviations(self) -> float:
        """By how many standard deviations the group has more of the changes than chance would give it."""
        expected = self.all_changes * self.share_of_sims
        spread = math.sqrt(expected * (1 - self.share_of_sims)) if self.share_of_sims < 1 else 0.0
        return (self.changes - expected) / spread if spread else 0.0


def can_concentrate(all_changes: int, all_sims: int) -> bool:
    """Return whether any group could explain so many changes: where most SIMs changed, no group has far more."""
    return all_changes >= MIN_CHANGES and all_changes * _MIN_LIFT <= all_sims


def is_telling(found: Concentration) -> bool:
    """Return whether a group explains most of a field's changes, far beyond its share of the SIMs."""
    return (
        can_concentrate(found.all_changes, found.all_sims)
        and found.share_of_changes >= MIN_SHARE
        and found.share_of_changes >= _MIN_LIFT * found.share_of_sims
        and found.deviations >= _MIN_DEVIATIONS
    )


def explained(found: Iterable[Concentration], *, noun: str = "changes") -> Sequence[str]:
    """Return one sentence for each field whose changes concentrate, about the group that explains them best.

    Among groups that have as many of the changes, the smallest explains most. `noun` is what is counted, if it is not
    changes: `open` `discrepancies`.
    """
    best: dict[str, Concentration] = {}
    for one in filter(is_telling, found):
        other = best.get(one.field)
        if other is None or _rank(one) > _rank(other):
            best[one.field] = one
    return [_sentence(best[field], noun) for field in sorted(best)]


def _rank(found: Concentration) -> tuple[float, float]:
    return found.deviations, found.share_of_changes


def _sentence(found: Concentration, noun: str) -> str:
    return (
        f"{_percent(found.share_of_changes)} of the {found.field} {noun} are on {found.group} {found.value}, which "
        f"has {_percent(found.share_of_sims)} of the SIMs"
    )


def _percent(share: float) -> str:
    """Return a share in whole percent; what is not all or nothing is not told as such."""
    percent = round(100 * share)
    if percent == 0 and share > 0:
        return "under 1 %"
    return "over 99 %" if percent == 100 and share < 1 else f"{percent} %"
