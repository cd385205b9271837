"""What a SIM is to sim_sync: the record a carrier's page is turned into, and the lifecycle all carriers share.

Identifier forms are in `identifiers`; how one carrier's words map to the lifecycle is that carrier's connector's.
"""

import hashlib
import marshal
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class Lifecycle(StrEnum):
    """The states of a SIM that every carrier's own words are brought to."""

    INVENTORY = "inventory"
    TEST_READY = "test_ready"
    ACTIVATION_READY = "activation_ready"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    TERMINATED = "terminated"
    REPLACED = "replaced"
    UNKNOWN = "unknown"


#: The quality flag of a SIM whose carrier used a status word that its connector does not list.
UNKNOWN_STATUS_FLAG = "unknown_status"


# A new field stands in `Sim`, and in `TRACKED_FIELDS` where its changes are news; its column in `warehouse/tables.py`,
# with a migration and a row in docs/tables.md; its name in `OUR_FIELDS` (`carriers/records/record_map.py`); and it is
# read in `Reading.sim` (`carriers/records/reading.py`). After that, each connector that can tell it names its place.
class Sim(NamedTuple):
    """One SIM as its carrier tells it. A tuple, because pages of a thousand are compared field by field.

    `None` means "the carrier does not say". `attributes` is canonical JSON text: the rest of the record without its
    secrets. `quality_flags` is canonical JSON text of a sorted list. Times are aware and in UTC.
    """

    sim_id: str
    iccid: str | None = None
    iccid_raw: str | None = None
    imsi: str | None = None
    msisdn: str | None = None
    imei: str | None = None
    eid: str | None = None
    status: str = Lifecycle.UNKNOWN.value
    carrier_status: str | None = None
    pending: bool = False
    rate_plan: str | None = None
    ip_address: str | None = None
    label: str | None = None
    account: str | None = None
    activated_at: datetime | None = None
    carrier_updated_at: datetime | None = None
    attributes: str = "{}"
    quality_flags: str = "[]"


#: Raised where the same record of a carrier means something else in the same words: every SIM is then looked at again.
#: A mapping that stores other words, or another field of `Sim`, is noticed without it.
RECORD_MAP_VERSION = 1
_SALT = f"sim {RECORD_MAP_VERSION}".encode()
_TIMES = tuple(Sim._fields.index(name) for name in ("activated_at", "carrier_updated_at"))
#: Of `marshal`: each value with its type and length, and no trace of which objects are shared.
_MARSHAL_VERSION = 2


def sim_digest(sim: Sim) -> int:
    """Return 64 bits, as a signed number, that are equal for equal SIMs and, but for one pair in 2**64, for no others.

    Never changed without raising `RECORD_MAP_VERSION`: it is stored beside every SIM.
    """
    told: list[Any] = list(sim)
    for place in _TIMES:
        if told[place] is not None:
            told[place] = told[place].timestamp()
    try:
        text = marshal.dumps(told, _MARSHAL_VERSION)
    except ValueError:  # a word of an enumeration is the text that it is
        text = marshal.dumps([str(value) if isinstance(value, str) else value for value in told], _MARSHAL_VERSION)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=_SALT).digest(), signed=True)


#: The digest of a record as it came (`RecordDigests`) ends in so many bits that name the mapping.
MAPPING_BITS = 16


def is_of_one_mapping(digest: int, other: int) -> bool:
    """Return whether two digests of records were made for one mapping; by chance, of two in 2**16 are, too."""
    return (digest ^ other) & (1 << MAPPING_BITS) - 1 == 0


#: The fields whose changes are kept in `sim_changes`: facts about the SIM. Left out are `carrier_updated_at` (a clock),
#: `attributes` (usage counters move every night) and what we derive ourselves (`iccid_raw` follows `iccid`).
TRACKED_FIELDS: tuple[str, ...] = (
    "iccid",
    "imsi",
    "msisdn",
    "imei",
    "eid",
    "status",
    "carrier_status",
    "pending",
    "rate_plan",
    "ip_address",
    "label",
    "account",
    "activated_at",
)
_TRACKED_POSITIONS: tuple[tuple[int, str], ...] = tuple((Sim._fields.index(name), name) for name in TRACKED_FIELDS)


#: What stands in the place of a field where a SIM came, was missed, went or came back.
PRESENCE = "presence"


class FieldChange(NamedTuple):
    """One tracked field of one SIM that is no longer what it was; both values as text."""

    sim_id: str
    field: str
    old_value: str | None
    new_value: str | None


def tracked_changes(old: Sim, new: Sim) -> Iterator[FieldChange]:
    """Yield what differs between two tellings of the same SIM, in the order of `TRACKED_FIELDS`."""
    for position, field in _TRACKED_POSITIONS:
        if old[position] != new[position]:
            yield FieldChange(new.sim_id, field, _as_text(old[position]), _as_text(new[position]))


def _as_text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


class StatusMeaning(NamedTuple):
    """What one status word of a carrier means: its place in the lifecycle, and whether a change is in flight."""

    status: Lifecycle
    pending: bool = False


class StatusWords:
    """One carrier's status words, looked up without regard to case, hyphens or spaces.

    An unlisted word is `unknown`, counted by its quality flag; it is never an exception and never `active`.
    """

    def __init__(self, meanings: Mapping[str, StatusMeaning]) -> None:
        self._meanings = {_folded(word): meaning for word, meaning in meanings.items()}

    def __getitem__(self, word: str) -> StatusMeaning:
        return self._meanings.get(_folded(word), StatusMeaning(Lifecycle.UNKNOWN))

    def __contains__(self, word: str) -> bool:
        return _folded(word) in self._meanings

    def meanings(self) -> Mapping[str, StatusMeaning]:
        """Return all words, folded, with what they mean."""
        return self._meanings

    def overridden_by(self, meanings: Mapping[str, StatusMeaning]) -> "StatusWords":
        """Return these words with some of them replaced or added, as `statuses:` in `carriers.yaml` asks."""
        merged = StatusWords({})
        merged._meanings = self._meanings | {_folded(word): meaning for word, meaning in meanings.items()}
        return merged


def _folded(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")
