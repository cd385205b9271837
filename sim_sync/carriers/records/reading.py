"""One record on its way to a SIM: the values it told, the flags it earned, and what is kept of it beside its fields.

What is kept is everything else, its secrets removed, as JSON that databases hold.
"""

import marshal
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple

from sim_sync.carriers.json_bodies import Ambiguous, NumberText, is_no_number
from sim_sync.core.identifiers import (
    Identifier,
    NotAnIdentifier,
    identifier_text,
    looks_rounded,
    luhn_is_valid,
    normal_eid,
    normal_iccid,
    normal_imei,
    normal_imsi,
    normal_msisdn,
)
from sim_sync.core.sims import MAPPING_BITS, UNKNOWN_STATUS_FLAG, Lifecycle, Sim, StatusWords
from sim_sync.core.storable import (
    DAMAGED,
    MAX_KEY_BYTES,
    MAX_LEVELS,
    TOO_DEEP,
    is_secret_key,
    key_problem,
    storable_json,
    storable_text,
)

# --- what is stored of it --------------------------------------------------------------------------------------------


def attributes_text(record: Mapping[str, Any], left_out: Collection[str], as_sent: Mapping[str, str] | None) -> str:
    """Return the rest of a record; `as_sent` are identifiers whose normal form is not what the carrier sent."""
    rest = {
        key: _kept(value, 1) if isinstance(value, (dict, list)) else value
        for key, value in record.items()
        if key not in left_out and not _is_secret(key)
    }
    if as_sent:
        rest["as_sent"] = as_sent
    return storable_json(rest) if rest else "{}"


def payload_text(record: Any) -> str:
    """Return a record that could not be read, its secrets removed."""
    return storable_json(_kept(record, 0))


def _kept(value: Any, level: int) -> Any:
    """Return a JSON value without its secrets: `storable.without_secrets`, with each key judged once."""
    if level >= MAX_LEVELS:
        return TOO_DEEP
    if isinstance(value, dict):
        return {
            key: _kept(member, level + 1) if isinstance(member, (dict, list)) else member
            for key, member in value.items()
            if not _is_secret(key)
        }
    if isinstance(value, list):
        return [_kept(member, level + 1) if isinstance(member, (dict, list)) else member for member in value]
    return value


_is_secret = lru_cache(maxsize=4096)(is_secret_key)


# --- status words ----------------------------------------------------------------------------------------------------

_LAST_PART = re.compile(r"[-_ ][^-_ ]*$")
#: No carrier has that many words; what comes beyond them is read again each time.
_MOST_WORDS = 1000


class StatusRead(NamedTuple):
    """A status word, its place in the lifecycle, whether a change is in flight, and whether the word is listed."""

    word: str | None
    status: str
    pending: bool
    is_known: bool


NO_STATUS = StatusRead(None, Lifecycle.UNKNOWN.value, pending=False, is_known=True)


class StatusReader:
    """Reads status words. With `by_prefix`, an unlisted word means what the longest listed beginning of it means."""

    def __init__(self, words: StatusWords, *, by_prefix: bool = False) -> None:
        self._words = words
        self._by_prefix = by_prefix
        self._known: dict[str, StatusRead] = {}

    def read(self, value: Any) -> StatusRead:
        """Return what a record's status value means."""
        if value is None or value == "":
            return NO_STATUS
        word = value if isinstance(value, str) else storable_json(value)
        found = self._known.get(word)
        if found is None:
            found = self._looked_up(word)
            if len(self._known) < _MOST_WORDS:
                self._known[word] = found
        return found

    def _looked_up(self, word: str) -> StatusRead:
        listed = self._listed(word)
        meaning = self._words[listed or word]
        return StatusRead(storable_text(word), meaning.status.value, meaning.pending, is_known=listed is not None)

    def _listed(self, word: str) -> str | None:
        while word not in self._words:
            shorter = _LAST_PART.sub("", word) if self._by_prefix else word
            if shorter == word:
                return None
            word = shorter
        return word


# --- as it came ------------------------------------------------------------------------------------------------------

#: Of `marshal`: each value with its type and length, and no trace of which objects are shared.
_MARSHAL_VERSION = 2
#: Records of one list have few sets of keys; where they have more than these, they are forgotten.
_MOST_SHAPES = 1000


class RecordDigests:
    """Digests of records as they come: 64 bits that are equal for what one mapping reads alike, and for nothing else.

    They end in bits that name the mapping. A record that holds what JSON has not, keys that appear twice or numbers
    kept as text has none, because `marshal` takes no such object.

    Args:
        mapping: all that decides what becomes of a record.
        is_read: whether what stands under a top-level key can make a difference.
    """

    def __init__(self, mapping: str, is_read: Callable[[str], bool]) -> None:
        self._salt = blake2b(mapping.encode("utf-8", "surrogatepass"), digest_size=8 - MAPPING_BITS // 8)
        self._mapping = self._salt.digest()[: MAPPING_BITS // 8]
        self._is_read = is_read
        self._shapes: dict[tuple[str, ...], tuple[Callable[[Any], Any], Any]] = {}
        #: All top-level keys so far.
        self.names = b""

    def of(self, record: dict[str, Any]) -> tuple[int, bytes] | None:
        """Return a record's digest, and the values that it is made of; None where it has none."""
        keys = tuple(record)
        shape = self._shapes.get(keys) or self._new_shape(keys)
        try:
            values = marshal.dumps(shape[0](record), _MARSHAL_VERSION)
        except ValueError:
            return None
        digest = shape[1].copy()
        digest.update(values)
        return int.from_bytes(digest.digest() + self._mapping, signed=True), values

    def _new_shape(self, keys: tuple[str, ...]) -> tuple[Callable[[Any], Any], Any]:
        names = sorted(filter(self._is_read, keys))
        told, salt = marshal.dumps(names, _MARSHAL_VERSION), self._salt.copy()
        salt.update(told)
        shape = (itemgetter(*names) if names else len, salt)
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
            self.names = b""
        self._shapes[keys] = shape
        self.names += told
        return shape


# --- a record --------------------------------------------------------------------------------------------------------

_NO_FLAGS = "[]"


class Reading:
    """The values of one record by our names. `told` may lack those that the carrier does not have.

    `failed` are those of them whose path cannot be applied to this record, or whose value no JSON has: NaN and infinite
    numbers.
    """

    __slots__ = ("_as_sent", "_failed", "_flags", "_told")

    def __init__(self, told: Mapping[str, Any], failed: Collection[str] = ()) -> None:
        if float in map(type, told.values()):
            no_numbers = [name for name, value in told.items() if is_no_number(value)]
            told = {**told, **dict.fromkeys(no_numbers)}
            failed = [*failed, *no_numbers]
        self._told = told
        self._failed = failed
        self._flags = [f"{name}_malformed" for name in failed] if failed else []
        self._as_sent: dict[str, str] = {}

    def sim(
        self,
        record: Mapping[str, Any],
        left_out: Collection[str],
        statuses: StatusReader,
        time: Callable[[Any], datetime],
        msisdn_region: str | None,
    ) -> Sim:
        """Return the SIM.

        Raises:
            NotAnIdentifier: the record has no id.
        """
        told = self._told
        if isinstance(record, Ambiguous):
            self._flags.append("duplicate_keys")
        iccid_raw, iccid = self._iccid()
        sim_id = self._sim_id(iccid_raw, iccid)
        status = statuses.read(told.get("status"))
        if not status.is_known:
            self._flags.append(UNKNOWN_STATUS_FLAG)
        msisdn = told.get("msisdn")
        return Sim(
            sim_id=sim_id,
            iccid=iccid,
            iccid_raw=iccid_raw,
            imsi=self._identifier("imsi", normal_imsi),
            msisdn=None if msisdn is None else self._msisdn(msisdn_region),
            imei=self._identifier("imei", normal_imei),
            eid=self._identifier("eid", normal_eid),
            status=status.status,
            carrier_status=None if status.word is None else self._stored(status.word),
            pending=status.pending or told.get("pending") is True,
            rate_plan=self._text("rate_plan"),
            ip_address=self._text("ip_address"),
            label=self._text("label"),
            account=self._text("account"),
            activated_at=self._time("activated_at", time),
            carrier_updated_at=self._time("carrier_updated_at", time),
            attributes=self._stored(attributes_text(record, left_out, self._as_sent)),
            quality_flags=storable_json(sorted(set(self._flags))) if self._flags else _NO_FLAGS,
        )

    def _sim_id(self, iccid_raw: str | None, iccid: str | None) -> str:
        if "sim_id" not in self._told:
            return iccid or _key(self._raw_iccid_as_id(iccid_raw))
        sim_id = identifier_text(self._told["sim_id"])
        if "sim_id" in self._failed:
            raise NotAnIdentifier("expected an id in `sim_id`, found what cannot be read")
        if sim_id is None:
            raise NotAnIdentifier("expected an id in `sim_id`, found none")
        return _key(sim_id)

    def _raw_iccid_as_id(self, iccid_raw: str | None) -> str:
        as_sent = identifier_text(self._told.get("iccid"))
        if iccid_raw is None or as_sent is None:
            raise NotAnIdentifier("expected an ICCID, which is the id here, found none")
        return as_sent

    def _iccid(self) -> tuple[str | None, str | None]:
        """Return the ICCID as its main field says it, and in normal form, with its check digit where both are told."""
        raw = self._iccid_text("iccid")
        with_luhn = self._iccid_text("iccid_with_luhn") if "iccid_with_luhn" in self._told else None
        if raw is None and with_luhn is None:
            if "iccid" not in self._failed:
                self._flags.append("iccid_missing")
            return None, None
        iccid = _normal_or_none(with_luhn) or _normal_or_none(raw)
        if iccid is None:
            self._flags.append("iccid_malformed")
        elif len(iccid) >= 19:
            self._judge_digits(iccid)
        return raw or with_luhn, iccid

    def _judge_digits(self, iccid: str) -> None:
        """Flag a wrong check digit, and digits that a floating-point number has made.

        A right check digit speaks against rounding, unless the carrier sends numbers: those are rounded on their way.
        """
        is_valid = luhn_is_valid(iccid)
        if not is_valid:
            self._flags.append("iccid_check_digit")
        if (not is_valid or isinstance(self._told.get("iccid"), int | NumberText)) and looks_rounded(iccid):
            self._flags.append("iccid_rounded")

    def _iccid_text(self, name: str) -> str | None:
        value = self._told.get(name)
        try:
            text = identifier_text(value)
        except NotAnIdentifier:  # a float, for example: it is shown, and no normal form is made of it
            text = storable_json(value)
        return None if text is None else self._stored(text)

    def _identifier(self, name: str, normal_form: Callable[[str], Identifier]) -> str | None:
        value = self._told.get(name)
        if value is None:
            return None
        try:
            text = identifier_text(value)
        except NotAnIdentifier:
            self._flags.append(f"{name}_malformed")
            self._as_sent[name] = storable_json(value)
            return None
        if text is None:
            return None
        found = normal_form(self._stored(text))
        if found.flag is not None:
            self._flags.append(found.flag)
        # A plus sign that is put before the same digits says nothing new.
        if found.normal.removeprefix("+") != text.removeprefix("+"):
            self._as_sent[name] = text
        return found.normal

    def _msisdn(self, region: str | None) -> str | None:
        return self._identifier("msisdn", lambda text: normal_msisdn(text, region))

    def _text(self, name: str) -> str | None:
        value = self._told.get(name)
        if value is None or value == "":
            return None
        return self._stored(value if isinstance(value, str) else storable_json(value))

    def _stored(self, text: str) -> str:
        """Return a text as every database can hold it, flagged where it is damaged, here or at the carrier."""
        if text.isascii() and "\x00" not in text:  # nearly all
            return text
        stored = storable_text(text)
        if DAMAGED in stored:
            self._flags.append("bad_text")
        return stored

    def _time(self, name: str, parse: Callable[[Any], datetime]) -> datetime | None:
        value = self._told.get(name)
        if value is None or value == "":
            return None
        try:
            return parse(value)
        except (ValueError, TypeError, OverflowError, OSError):
            self._flags.append("bad_time")
            self._as_sent[name] = storable_json(value)
            return None


def _normal_or_none(raw: str | None) -> str | None:
    if raw is None:
        return None
    try:
        return normal_iccid(raw)
    except NotAnIdentifier:
        return None


def _key(sim_id: str) -> str:
    if problem := key_problem(sim_id):
        raise NotAnIdentifier(
            f"expected an id that databases can hold, at most {MAX_KEY_BYTES:,} bytes, found {problem}"
        )
    return sim_id
