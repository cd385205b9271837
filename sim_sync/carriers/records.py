"""From a carrier's record to a SIM: which field is which, what is kept beside them, and what makes a record no SIM.

One odd value never stops a walk: it becomes a quality flag, and a record without an id is rejected with its reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sim_sync.carriers.secrets import without_secrets
from sim_sync.core.identifiers import NotAnIdentifier, identifier_text, luhn_is_valid, normal_iccid
from sim_sync.core.pages import Rejected, canonical_json
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG, Lifecycle, Sim, StatusWords

_NO_FLAGS = "[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMap:
    """How one carrier's records are read.

    `fields` maps our names to the record's top-level keys; `ignored` keys are not kept in `attributes` (links, for
    example).
    """

    fields: Mapping[str, str]
    statuses: StatusWords
    ignored: frozenset[str] = frozenset()
    parse_time: Callable[[str], datetime] = field(default=lambda text: parse_iso_time(text))  # noqa: PLW0108 - defined below

    def read_page(self, records: Sequence[Any]) -> tuple[list[Sim], list[Rejected]]:
        """Read a page's records, in their order: the SIMs, and what cannot be one."""
        sims: list[Sim] = []
        rejected: list[Rejected] = []
        for position, record in enumerate(records):
            try:
                sims.append(self.read(record))
            except NotAnIdentifier as reason:
                rejected.append(Rejected(position, str(reason), storable(canonical_json(without_secrets(record)))))
        return sims, rejected

    def read(self, record: Any) -> Sim:
        """Read one record.

        Raises:
            NotAnIdentifier: it is no object, or has no id.
        """
        if not isinstance(record, Mapping):
            raise NotAnIdentifier(f"expected an object, found {type(record).__name__}")
        flags: list[str] = []
        sim_id = self._sim_id(record)
        iccid_raw, iccid = self._iccid(record, flags)
        word, meaning_status, pending = self._status(record, flags)
        return Sim(
            sim_id=sim_id,
            iccid=iccid,
            iccid_raw=iccid_raw,
            imsi=self._identifier(record, "imsi", flags),
            msisdn=self._identifier(record, "msisdn", flags),
            imei=self._identifier(record, "imei", flags),
            eid=self._identifier(record, "eid", flags),
            status=meaning_status,
            carrier_status=word,
            pending=pending,
            rate_plan=self._text(record, "rate_plan"),
            ip_address=self._text(record, "ip_address"),
            label=self._text(record, "label"),
            account=self._text(record, "account"),
            activated_at=self._time(record, "activated_at", flags),
            carrier_updated_at=self._time(record, "carrier_updated_at", flags),
            attributes=self._attributes(record),
            quality_flags=canonical_json(sorted(flags)) if flags else _NO_FLAGS,
        )

    def _value(self, record: Mapping[str, Any], name: str) -> Any:
        key = self.fields.get(name)
        return None if key is None else record.get(key)

    def _sim_id(self, record: Mapping[str, Any]) -> str:
        sim_id = identifier_text(self._value(record, "sim_id"))
        if sim_id is None:
            raise NotAnIdentifier(f"expected an id in {self.fields['sim_id']!r}, found none")
        return storable(sim_id)

    def _iccid(self, record: Mapping[str, Any], flags: list[str]) -> tuple[str | None, str | None]:
        value = self._value(record, "iccid")
        try:
            raw = identifier_text(value)
        except NotAnIdentifier:
            flags.append("iccid_malformed")
            return storable(str(value)), None
        if raw is None:
            flags.append("iccid_missing")
            return None, None
        try:
            iccid = normal_iccid(raw)
        except NotAnIdentifier:
            flags.append("iccid_malformed")
            return storable(raw), None
        if len(iccid) >= 19 and not luhn_is_valid(iccid):
            flags.append("iccid_check_digit")
        return raw, iccid

    def _identifier(self, record: Mapping[str, Any], name: str, flags: list[str]) -> str | None:
        try:
            text = identifier_text(self._value(record, name))
        except NotAnIdentifier:
            flags.append(f"{name}_malformed")
            return None
        return None if text is None else storable(text)

    def _status(self, record: Mapping[str, Any], flags: list[str]) -> tuple[str | None, str, bool]:
        value = self._value(record, "status")
        if value is None or value == "":
            return None, Lifecycle.UNKNOWN.value, False
        word = storable(str(value))
        if word not in self.statuses:
            flags.append(UNKNOWN_STATUS_FLAG)
        meaning = self.statuses[word]
        return word, meaning.status.value, meaning.pending

    def _text(self, record: Mapping[str, Any], name: str) -> str | None:
        value = self._value(record, name)
        if value is None or value == "":
            return None
        return storable(value if isinstance(value, str) else canonical_json(value))

    def _time(self, record: Mapping[str, Any], name: str, flags: list[str]) -> datetime | None:
        value = self._value(record, name)
        if value is None or value == "":
            return None
        try:
            return self.parse_time(value)
        except (ValueError, TypeError, OverflowError):
            flags.append("bad_time")
            return None

    def _attributes(self, record: Mapping[str, Any]) -> str:
        left_out = self.ignored | set(self.fields.values())
        rest = {key: value for key, value in record.items() if key not in left_out}
        return storable(canonical_json(without_secrets(rest)))


def parse_iso_time(text: str) -> datetime:
    """Return an ISO 8601 time as an aware UTC time; one without an offset is in UTC."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def storable(text: str) -> str:
    """Return the text as every database can hold it: lone surrogates and NUL become the replacement character."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")
