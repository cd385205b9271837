"""What SIM number `index` of a fleet looks like, computed from a profile and a seed. Holds no SIM.

Two releases must give the same SIM for the same profile, seed and index: inventories written with one are read with
the next.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sim_sync.core.sims import Lifecycle

# Integer mixing and check digits: numbers that look like chance and are the same in every release.
#
# No `random` in here: its algorithms may change, and a fleet has to stay what it was.


MASK64 = (1 << 64) - 1

# The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a bijection.
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_FIRST_INVERSE = pow(_FIRST, -1, 1 << 64)
_SECOND_INVERSE = pow(_SECOND, -1, 1 << 64)


def mix64(value: int) -> int:
    """Return a 64-bit number that looks unrelated to `value`; different values give different numbers."""
    value &= MASK64
    value = ((value ^ (value >> 30)) * _FIRST) & MASK64
    value = ((value ^ (value >> 27)) * _SECOND) & MASK64
    return value ^ (value >> 31)


def unmix64(value: int) -> int:
    """Return the number that `mix64` made `value` of."""
    value ^= (value >> 31) ^ (value >> 62)
    value = (value * _SECOND_INVERSE) & MASK64
    value ^= (value >> 27) ^ (value >> 54)
    value = (value * _FIRST_INVERSE) & MASK64
    return value ^ (value >> 30) ^ (value >> 60)


def seeded_number(*parts: object) -> int:
    """Return a 256-bit number that depends on every part and on their order."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest(), "big")


class Permutation(NamedTuple):
    """A reordering of 0 .. modulus - 1 that is computed, not stored: `multiplier * n + offset` modulo `modulus`."""

    modulus: int
    multiplier: int
    offset: int

    @classmethod
    def seeded(cls, modulus: int, *parts: object) -> "Permutation":
        """Return the permutation that these parts name."""
        multiplier = seeded_number("multiplier", *parts) % modulus
        while math.gcd(multiplier, modulus) != 1:
            multiplier += 1
        return cls(modulus, multiplier, seeded_number("offset", *parts) % modulus)

    def image(self, number: int) -> int:
        """Return where `number` goes."""
        return (number * self.multiplier + self.offset) % self.modulus

    def origin(self, image: int) -> int:
        """Return the number whose image this is."""
        return (image - self.offset) * pow(self.multiplier, -1, self.modulus) % self.modulus


def _group_sum(group: int) -> int:
    doubled = sum(sum(divmod(2 * (group // place % 10), 10)) for place in (1, 100))
    return doubled + sum(group // place % 10 for place in (10, 1000))


_GROUP_SUMS = tuple(_group_sum(group) for group in range(10_000))


def luhn_sum(payload: int) -> int:
    """Return the Luhn sum of a payload that still lacks its check digit (ISO/IEC 7812-1); sums of parts add up."""
    total = 0
    while payload:
        payload, group = divmod(payload, 10_000)
        total += _GROUP_SUMS[group]
    return total


def luhn_check_digit(payload: int) -> int:
    """Return the digit that makes the payload pass the Luhn check."""
    return -luhn_sum(payload) % 10


def mod_97_check_digits(payload: int) -> int:
    """Return the two digits (as a number) that make the payload pass ISO/IEC 7064 MOD 97-10."""
    return 98 - payload * 100 % 97


#: The most SIMs a fleet may ever have: the identifiers beyond it are kept for SIMs that no carrier has.
MAX_FLEET_SIZE = 10**9

_NEVER_ACTIVATED = frozenset({Lifecycle.INVENTORY, Lifecycle.TEST_READY, Lifecycle.ACTIVATION_READY})
_STATUS_SLOTS = 1024
# Where second profiles and their IMSIs begin: beyond every SIM, and before the ICCIDs that no carrier has.
_SECOND_PROFILES = 10**10
_SECOND_IMSIS = 5 * 10**9
_FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
_DAY_TEXTS = tuple(f"{_FIRST_DAY + timedelta(days=day):%Y-%m-%d}" for day in range(1024 + 64 + 1024))
_TIME_TEXTS = tuple(f"T{minute // 60:02}:{minute % 60:02}:{minute * 37 % 60:02}Z" for minute in range(1440))


@dataclass(frozen=True, slots=True)
class SimulatedSim:
    """One SIM of a fleet in words that belong to no vendor.

    `status` is a word of sim_sync's lifecycle; `vendor_status`, where set, is what the vendor sends instead of its own
    word for it. All times are aware and in UTC.
    """

    index: int
    iccid: str | None
    imsi: str | None
    msisdn: str | None
    imei: str | None
    eid: str | None
    status: str
    vendor_status: str | None
    rate_plan: str | None
    label: str | None
    ip_address: str | None
    activated_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def created_text(self) -> str:
        """Return when it was created, in ISO 8601 with seconds and Z."""
        return _iso_text(self.created_at)

    @property
    def activated_text(self) -> str | None:
        """Return when it was activated, if it was."""
        return None if self.activated_at is None else _iso_text(self.activated_at)

    @property
    def updated_text(self) -> str:
        """Return when it was last changed at the carrier."""
        return _iso_text(self.updated_at)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the SIMs of one vendor have in common.

    `iccid_prefix` has 8 digits, `imsi_prefix` 5 (a known MCC and MNC), `msisdn_prefix` 7 with its plus sign.
    `status_weights` says how many of each lifecycle word there are, in relation to each other.
    """

    iccid_prefix: str
    status_weights: Sequence[tuple[Lifecycle, int]]
    rate_plans: Sequence[str]
    imsi_prefix: str = "23450"
    msisdn_prefix: str = "+882285"


class FleetSpec:
    """Computes each property of the SIM number `index`.

    Methods that take a `chance` want the SIM's `fingerprint`, so that a list of a thousand SIMs mixes only once each.
    """

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile = profile
        self.seed = seed
        self._key = mix64(seed)
        self._status_slots = _status_slots(profile.status_weights)
        self._iccid_order = Permutation.seeded(10**11, "iccid", seed)
        self._iccid_prefix_sum = luhn_sum(int(profile.iccid_prefix) * 10**11)
        self._imsi_order = Permutation.seeded(10**10, "imsi", seed)
        self._msisdn_order = Permutation.seeded(10**9, "msisdn", seed)
        self._device_order = Permutation.seeded(10**12, "device", seed)
        self._other_ids: dict[tuple[str, str], str] = {}

    def fingerprint(self, index: int) -> int:
        """Return the SIM's own 64-bit number, from which vendors make their ids; no two SIMs share one."""
        return mix64(index + self._key)

    def index_of_fingerprint(self, fingerprint: int) -> int:
        """Return the index of the SIM that has this fingerprint; it may lie beyond the fleet."""
        return (unmix64(fingerprint) - self._key) & MASK64

    def iccid(self, index: int) -> str:
        """Return 20 digits: the prefix, the SIM's number and the Luhn check digit (ITU-T E.118)."""
        number = self._iccid_order.image(index)
        check_digit = -(self._iccid_prefix_sum + luhn_sum(number)) % 10
        return f"{self.profile.iccid_prefix}{number:011}{check_digit}"

    def index_of_iccid(self, iccid: str) -> int | None:
        """Return the index of the SIM that this blueprint gives the ICCID, or None where it gives it to none."""
        if len(iccid) != 20 or not (iccid.isascii() and iccid.isdigit()):
            return None
        index = self._iccid_order.origin(int(iccid[8:19]))
        return index if index < MAX_FLEET_SIZE and self.iccid(index) == iccid else None

    def absent_iccid(self, number: int) -> str:
        """Return the ICCID number `number` of this carrier that no SIM of a fleet ever has."""
        return self.iccid(10**11 - 1 - number)

    def second_iccid(self, index: int) -> str:
        """Return the ICCID of a second profile on the SIM; no SIM has it as its first."""
        return self.iccid(_SECOND_PROFILES + index)

    def imsi(self, index: int) -> str:
        """Return 15 digits: the network's prefix and the SIM's number."""
        return f"{self.profile.imsi_prefix}{self._imsi_order.image(index):010}"

    def second_imsi(self, index: int) -> str:
        """Return the IMSI of a second profile on the SIM; no SIM has it as its first."""
        return self.imsi(_SECOND_IMSIS + index)

    def msisdn(self, index: int) -> str:
        """Return the SIM's number in international form, with its plus sign."""
        return f"{self.profile.msisdn_prefix}{self._msisdn_order.image(index):09}"

    def imei(self, index: int) -> str:
        """Return the 15 digits of the IMEI of the SIM's device."""
        payload = 35 * 10**12 + self._device_order.image(index)
        return f"{payload}{luhn_check_digit(payload)}"

    def eid(self, index: int) -> str:
        """Return the 32 digits of the SIM's EID."""
        payload = 89049032 * 10**22 + self._device_order.image(index)
        return f"{payload}{mod_97_check_digits(payload):02}"

    def status(self, chance: int) -> Lifecycle:
        """Return the SIM's place in the lifecycle."""
        return self._status_slots[chance % _STATUS_SLOTS]

    def is_activated(self, chance: int) -> bool:
        """Return whether the SIM was ever activated."""
        return self.status(chance) not in _NEVER_ACTIVATED

    def ip_address(self, index: int, chance: int) -> str | None:
        """Return the SIM's address, once it was activated."""
        return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}" if self.is_activated(chance) else None

    def rate_plan(self, chance: int) -> str:
        """Return the name of the SIM's rate plan."""
        return self.profile.rate_plans[(chance >> 10) % 8 % len(self.profile.rate_plans)]

    def label(self, index: int, chance: int) -> str | None:
        """Return the customer's own name for the SIM; one SIM in eight has none."""
        return f"sim-{index:07}" if (chance >> 13) % 8 else None

    def created_text(self, chance: int) -> str:
        """Return when the SIM was created, in ISO 8601 with seconds and Z."""
        return _DAY_TEXTS[(chance >> 16) % 1024] + _TIME_TEXTS[(chance >> 26) % 1440]

    def activated_text(self, chance: int) -> str:
        """Return when the SIM was activated, if it was: less than 64 days after its creation."""
        return _DAY_TEXTS[(chance >> 16) % 1024 + 1 + (chance >> 37) % 63] + _TIME_TEXTS[(chance >> 43) % 1440]

    def updated_text(self, chance: int) -> str:
        """Return when the SIM was last changed at the carrier: after its creation and activation."""
        return _DAY_TEXTS[(chance >> 16) % 1024 + 64 + (chance >> 54) % 1024] + _TIME_TEXTS[(chance >> 30) % 1440]

    def sim(self, index: int) -> SimulatedSim:
        """Return the whole SIM."""
        chance = self.fingerprint(index)
        activated = self.is_activated(chance)
        return SimulatedSim(
            index=index,
            iccid=self.iccid(index),
            imsi=self.imsi(index),
            msisdn=self.msisdn(index),
            imei=self.imei(index),
            eid=self.eid(index),
            status=self.status(chance).value,
            vendor_status=None,
            rate_plan=self.rate_plan(chance),
            label=self.label(index, chance),
            ip_address=self.ip_address(index, chance),
            activated_at=datetime.fromisoformat(self.activated_text(chance)) if activated else None,
            created_at=datetime.fromisoformat(self.created_text(chance)),
            updated_at=datetime.fromisoformat(self.updated_text(chance)),
        )

    def other_id(self, prefix: str, name: str) -> str:
        """Return a stable 34-character id for a thing of this carrier that is no SIM, such as a plan or an account."""
        key = (prefix, name)
        found = self._other_ids.get(key)
        if found is None:
            found = self._other_ids[key] = f"{prefix}{seeded_number(prefix, self.seed, name) >> 128:032x}"
        return found


def _status_slots(weights: Sequence[tuple[Lifecycle, int]]) -> tuple[Lifecycle, ...]:
    """Share 1,024 slots out by weight; the first word takes what rounding leaves over."""
    total = sum(weight for _, weight in weights)
    slots = [word for word, weight in weights for _ in range(weight * _STATUS_SLOTS // total)]
    return (*[weights[0][0]] * (_STATUS_SLOTS - len(slots)), *slots)


def _iso_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
