"""How one carrier's records are read, declared; compiled once, because 35,000 SIMs a second pass here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from sim_sync.carriers.json_bodies import Lookup, PathFailed, top_level_key, value_lookup_of
from sim_sync.carriers.records.reading import Reading
from sim_sync.carriers.records.status import StatusReader
from sim_sync.carriers.records.stored import payload_text
from sim_sync.carriers.records.times import parse_time
from sim_sync.core.identifiers import NotAnIdentifier
from sim_sync.core.pages import QuarantinedRecord
from sim_sync.core.sims import Sim, StatusWords

#: Where a field stands: a key, a JMESPath expression, or a function of the record.
Field: TypeAlias = str | Lookup

#: The fields that a record map may have. `iccid_with_luhn` is the 20-digit form of a carrier that sends both: it
#: becomes `iccid`, and what stands in `iccid` becomes `iccid_raw`. `pending` is a flag beside the status word.
OUR_FIELDS: tuple[str, ...] = (
    "sim_id",
    "iccid",
    "iccid_with_luhn",
    "imsi",
    "msisdn",
    "imei",
    "eid",
    "status",
    "pending",
    "rate_plan",
    "ip_address",
    "label",
    "account",
    "activated_at",
    "carrier_updated_at",
)


#: What a connector's code raises over a record that is not as documented: one record must not stop a walk.
_ODD_SHAPE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMap:
    """How one carrier's records are read.

    Args:
        fields: our names to where each stands in a record. Without `sim_id` the normal ICCID is the id.
        statuses: the carrier's status words.
        ignored: top-level keys that are not kept in `attributes`: links, for example.
        split: what a record holds, where that is not one SIM.
        time: the form of the carrier's times, where it is not one that `parse_time` knows.
        status_by_prefix: an unlisted word like `PAUSED-PENDING-SYS` means what its longest listed beginning means.
        msisdn_region: the country in which MSISDNs without `+` are dialled, if the carrier is a national one.
    """

    fields: Mapping[str, Field]
    statuses: StatusWords
    ignored: frozenset[str] = frozenset()
    split: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]] | None = None
    time: Callable[[Any], datetime] = parse_time
    status_by_prefix: bool = False
    msisdn_region: str | None = None
    _plain: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    _deep: tuple[tuple[str, Lookup], ...] = field(init=False, repr=False, compare=False)
    _left_out: frozenset[str] = field(init=False, repr=False, compare=False)
    _status: StatusReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if strange := sorted(set(self.fields) - set(OUR_FIELDS)):
            raise ValueError(f"no such fields of a SIM: {', '.join(strange)}; there are {', '.join(OUR_FIELDS)}")
        if not {"sim_id", "iccid"} & set(self.fields):
            raise ValueError("a record needs an id: `sim_id`, `iccid` or both have to be among the fields")
        plain = {
            name: key for name, path in self.fields.items() if isinstance(path, str) and (key := top_level_key(path))
        }
        deep = [(name, _lookup(path)) for name, path in self.fields.items() if name not in plain]
        object.__setattr__(self, "_plain", tuple(plain.items()))
        object.__setattr__(self, "_deep", tuple(deep))
        object.__setattr__(self, "_left_out", self.ignored | set(plain.values()))
        object.__setattr__(self, "_status", StatusReader(self.statuses, by_prefix=self.status_by_prefix))

    def read_page(self, records: Sequence[Any]) -> tuple[list[Sim], list[QuarantinedRecord]]:
        """Read a page's records, in their order: the SIMs, and what cannot be one."""
        sims: list[Sim] = []
        rejected: list[QuarantinedRecord] = []
        for position, record in enumerate(records):
            reasons = self._read_into(sims, record)
            if reasons:
                rejected.append(QuarantinedRecord(position, "; ".join(dict.fromkeys(reasons)), payload_text(record)))
        return sims, rejected

    def read(self, record: Any) -> Sim:
        """Read one record that is one SIM.

        Raises:
            NotAnIdentifier: it is not an object, has no id, or is several SIMs or none.
        """
        parts = [record] if self.split is None else self.split(_object(record))
        if len(parts) != 1:
            raise NotAnIdentifier(f"expected one SIM in the record, found {len(parts)}")
        return self._read(parts[0])

    def _read(self, record: Any) -> Sim:
        _object(record)
        told = {name: record.get(key) for name, key in self._plain}
        failed = []
        for name, look_up in self._deep:
            try:
                told[name] = look_up(record)
            except PathFailed:
                told[name] = None
                failed.append(name)
        return Reading(told, failed).sim(record, self._left_out, self._status, self.time, self.msisdn_region)

    def _read_into(self, sims: list[Sim], record: Any) -> list[str]:
        """Add the SIMs of a record, and return why it, or a part of it, is none."""
        if self.split is None:
            return self._add(sims, record)
        try:
            parts = self.split(_object(record))
        except NotAnIdentifier as reason:
            return [str(reason)]
        except _ODD_SHAPE as error:
            return [_odd(error)]
        return [reason for part in parts for reason in self._add(sims, part)]

    def _add(self, sims: list[Sim], record: Any) -> list[str]:
        try:
            sims.append(self._read(record))
        except NotAnIdentifier as reason:
            return [str(reason)]
        except _ODD_SHAPE as error:
            return [_odd(error)]
        return []


def _odd(error: Exception) -> str:
    """Return the reason of a record whose shape nobody thought of; the error's own text may quote values."""
    return f"expected a record as the carrier documents it, found another shape ({type(error).__name__})"


def _object(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise NotAnIdentifier(f"expected an object, found {type(record).__name__}")
    return record


def _lookup(path: Field) -> Lookup:
    return value_lookup_of(path) if isinstance(path, str) else path
