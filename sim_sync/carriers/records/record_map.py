"""How one carrier's records are read, declared; compiled once, because 35,000 SIMs a second pass here.

Where the list of records stands is here, too: an answer without its list is refused, because it is not an empty page.
Of the forms in which carriers send times, one that may mean two times means none: it is refused, not guessed.
"""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from importlib.metadata import version
from operator import methodcaller
from types import FunctionType
from typing import Any, TypeAlias

from sim_sync.carriers.json_bodies import (
    Lookup,
    PathFailed,
    is_plain,
    list_lookup_of,
    lookup_of,
    top_level_key,
    value_lookup_of,
)
from sim_sync.carriers.messages import Response
from sim_sync.carriers.records.reading import Reading, RecordDigests, StatusReader, payload_text
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.identifiers import NotAnIdentifier
from sim_sync.core.pages import QuarantinedRecord, digest_of
from sim_sync.core.sims import RECORD_MAP_VERSION, Sim, StatusWords
from sim_sync.core.storable import MAX_KEY_BYTES, canonical_json, is_secret_key, key_problem

# --- the list of records ---------------------------------------------------------------------------------------------


def list_at(path: str, *, null_is_empty: bool = False) -> Callable[[Response], list[Any]]:
    """Return the function that finds the list at a path of the body.

    With `null_is_empty`, null in its place is an empty list, and so is an answer without a body (204). A list that is
    not there at all is none, as far as that can be told: behind an expression, null and nothing look the same.
    """
    look_up = list_lookup_of(path)

    def records(response: Response) -> list[Any]:
        found = look_up(response.body)
        if found is None and null_is_empty and _holds_null(response.body, path):
            return []
        if not isinstance(found, list):
            raise UnexpectedResponse(
                f"expected a list under {path!r} in the answer, found {_kind(found)}: is `base_url` that of this API?"
            )
        return found

    return records


def array_or_nothing(response: Response) -> list[Any]:
    """Return the body, which is the list itself; null and no body at all are an empty one."""
    return [] if response.body is None else array_in_body(response)


def array_in_body(response: Response) -> list[Any]:
    """Return the body, which is the list itself."""
    if not isinstance(response.body, list):
        raise UnexpectedResponse(
            f"expected a list as the whole answer, found {_kind(response.body)}: is `base_url` that of this API?"
        )
    return response.body


def _holds_null(body: Any, path: str) -> bool:
    if body is None or not is_plain(path):
        return body is None
    holder, _, key = path.rpartition(".")
    found = lookup_of(holder)(body) if holder else body
    return isinstance(found, Mapping) and key in found


def _kind(found: Any) -> str:
    return "nothing" if found is None else "an object" if isinstance(found, dict) else f"a {type(found).__name__}"


# --- times -----------------------------------------------------------------------------------------------------------

#: Digits alone are read only as times in between: there were no SIMs before, and later ones are another unit's.
_FIRST = datetime(1991, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
#: The first time that no signed number of 32 bits can count in seconds.
_BEYOND_32_BITS = datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
#: Units since 1970, as parts of a second.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
#: Numbers that can mean nothing but seconds, or nothing but milliseconds; nearly all are among them.
_SURELY_SECONDS = range(662_688_000, 1_991_000_000)
_SURELY_MILLISECONDS = range(662_688_000_000, 4_102_444_800_000)
#: More digits than any unit of a time has.
_MOST_DIGITS = 19
#: Dates without separators by their number of digits (ISO 8601's basic form, and what databases print).
_COMPACT = {
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
    16: "%Y%m%d%H%M%S%f",
    17: "%Y%m%d%H%M%S%f",
}
_DECIMAL = re.compile(r"([0-9]{9,10})\.([0-9]{1,9})")
#: RFC 5322's form, with those zones only that say how far they are from UTC.
_RFC_5322 = re.compile(
    r"(?:[A-Z][a-z]{2},? )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}(?::[0-9]{2})? "
    r"(?:GMT|UTC?|Z|[+-][0-9]{4})"
)
#: What may follow ISO 8601: the name of the zone, whose offset stands before (Java), or UTC by its name.
_ZONE_NAME = re.compile(r"\[[A-Za-z0-9_+/-]+\]$")
_UTC_NAME = re.compile(r" ?(?:UTC|GMT|z)$")


def parse_time(value: Any) -> datetime:
    """Return a time as an aware UTC time.

    Text is ISO 8601, with a `T` or a space, or RFC 5322; without an offset it is in UTC. A number, or text of digits
    only, is a date without separators, or seconds, milliseconds, microseconds or nanoseconds since 1970: which of them,
    its size tells, and one of which it does not is refused.

    Raises:
        ValueError, OverflowError: it is not a time.
    """
    if isinstance(value, str):
        return _of_digits(value) if value.isascii() and value.isdigit() else _of_text(value)
    if isinstance(value, float):
        return _of_fraction(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _of_number(value)
    raise ValueError(f"expected a time, found {type(value).__name__}")


def _of_text(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _of_other_text(text)
    if found.tzinfo is UTC:
        return found
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _of_other_text(text: str) -> datetime:
    if found := _DECIMAL.fullmatch(text):
        return _of_digits(found[1]) + timedelta(microseconds=int(found[2].ljust(9, "0")[:6]))
    if _RFC_5322.fullmatch(text):
        return parsedate_to_datetime(text).astimezone(UTC)
    plain = _UTC_NAME.sub("Z", _ZONE_NAME.sub("", text.strip()))
    if plain == text:
        raise ValueError("expected a time, found another text")
    return parse_time(plain)


def _of_fraction(number: float) -> datetime:
    if number.is_integer():
        return _of_number(int(number))
    whole, fraction = divmod(number, 1)
    found = _of_number(int(whole))
    # Only seconds are sent with a fraction that a time can keep.
    return found + timedelta(seconds=fraction) if whole < 10**10 else found


def _of_digits(digits: str) -> datetime:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("expected a time, found more digits than one has")
    return _of_number(int(digits), digits)


def _of_number(number: int, digits: str | None = None) -> datetime:
    if number in _SURELY_SECONDS:
        return datetime.fromtimestamp(number, UTC)
    if number in _SURELY_MILLISECONDS:
        return datetime.fromtimestamp(number / 1000, UTC)
    if not 0 <= number < 10**_MOST_DIGITS:
        raise ValueError("expected a time, found a number that is none")
    found = {time for time in _readings(digits or str(number)) if _FIRST <= time < _LAST}
    if len(found) != 1:
        raise ValueError(f"expected digits that mean one time, found some that mean {len(found) or 'none'}")
    return found.pop()


def _readings(digits: str) -> Iterator[datetime]:
    """Yield all times that digits may mean."""
    for unit in _UNITS:
        whole, parts = divmod(int(digits), unit)
        if whole < _LAST.timestamp():
            since = _1970 + timedelta(seconds=whole, microseconds=parts * 1_000_000 // unit)
            yield since
            if unit == 1 and since >= _BEYOND_32_BITS:
                yield from _compact(digits, "%y%m%d%H%M")  # likelier a year of two digits
    if form := _COMPACT.get(len(digits)):
        yield from _compact(digits, form)


def _compact(digits: str, form: str) -> Iterator[datetime]:
    try:
        yield datetime.strptime(digits, form).replace(tzinfo=UTC)
    except ValueError:
        return


# --- the map ---------------------------------------------------------------------------------------------------------

#: Where a field stands: a key, a JMESPath expression, or a function of the record.
Field: TypeAlias = str | Lookup
#: Makes the records of SIMs of one record.
Split: TypeAlias = Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]

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
    split: Split | None = None
    time: Callable[[Any], datetime] = parse_time
    status_by_prefix: bool = False
    msisdn_region: str | None = None
    _plain: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    _deep: tuple[tuple[str, Lookup], ...] = field(init=False, repr=False, compare=False)
    _ids: tuple[Lookup, ...] = field(init=False, repr=False, compare=False)
    #: What every record is read by, beside its own values: see `Reading.sim`.
    _how: tuple[frozenset[str], StatusReader, Callable[[Any], datetime], str | None] = field(
        init=False, repr=False, compare=False
    )

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
        ids = ["sim_id"] if "sim_id" in self.fields else ["iccid_with_luhn", "iccid"]
        are_plain = all(name in plain for name in ids if name in self.fields)
        getters = tuple(methodcaller("get", plain[name]) for name in ids if name in plain) if are_plain else ()
        object.__setattr__(self, "_ids", getters)
        statuses = StatusReader(self.statuses, by_prefix=self.status_by_prefix)
        left_out = self.ignored | set(plain.values())
        object.__setattr__(self, "_how", (left_out, statuses, self.time, self.msisdn_region))

    def digests(self, beside: str) -> RecordDigests:
        """Return what makes digests of records as they come, as this map reads them.

        `beside` says what else may decide how they are read.
        """
        paths = [path for path in self.fields.values() if isinstance(path, str) and is_plain(path)]
        told = frozenset(path.partition(".")[0] for path in paths)
        ignored = self.ignored if len(paths) == len(self.fields) else frozenset[str]()

        def is_read(key: str) -> bool:
            return key in told or not (key in ignored or (ignored is self.ignored and is_secret_key(key)))

        how = [self.split, self.time, self.status_by_prefix, self.msisdn_region]
        mapping = [self.fields, self.statuses.meanings(), self.ignored, *how]
        return RecordDigests(canonical_json([_rules(), _told(mapping), beside]), is_read)

    def as_they_came(self, records: Sequence[Any], digests: RecordDigests) -> tuple[dict[str, tuple[int, int]], bytes]:
        """Return the digests of a page's records, and their places, by the ids that their SIMs surely have.

        Beside them the values that all of them are made of. A record without a digest, or that is several SIMs, or
        whose id stands on the page twice, is not among them.
        """
        found: dict[str, tuple[int, int]] = {}
        texts: list[bytes] = []
        twice: set[str] = set()
        for place, record in enumerate(records if self.split is None else ()):
            sim_id = self._plain_id(record) if type(record) is dict else None
            if sim_id is None or (digest := digests.of(record)) is None:
                continue
            if sim_id in found:
                twice.add(sim_id)
            found[sim_id] = digest[0], place
            texts.append(digest[1])
        for sim_id in twice:
            del found[sim_id]
        return found, b"".join([digests.names, *texts])

    def read_page(
        self, records: Sequence[Any], left_out: Collection[int] = ()
    ) -> tuple[list[Sim], list[QuarantinedRecord]]:
        """Read a page's records, in their order, but those at places that are left out.

        Returns the SIMs, and what cannot be one.
        """
        sims: list[Sim] = []
        rejected: list[QuarantinedRecord] = []
        split = self.split
        for position, record in enumerate(records):
            if position in left_out:
                continue
            reasons = self._add(sims, record) if split is None else self._add_parts(sims, record, split)
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
        return self._reading(parts[0]).sim(parts[0], *self._how)

    def _plain_id(self, record: dict[str, Any]) -> str | None:
        """Return the id of a record's SIM where no rule is needed to read it, otherwise None."""
        is_own = "sim_id" in self.fields
        for get in self._ids:
            value = get(record)
            if type(value) is str:
                is_plain = (
                    _is_plain_id(value) if is_own else value.isascii() and value.isdigit() and 18 <= len(value) <= 22
                )
                return value if is_plain else None
            if value is not None or is_own:
                return str(value) if is_own and type(value) is int else None
        return None

    def _reading(self, record: Any) -> Reading:
        _object(record)
        told = {name: record.get(key) for name, key in self._plain}
        failed = []
        for name, look_up in self._deep:
            try:
                told[name] = look_up(record)
            except PathFailed:
                told[name] = None
                failed.append(name)
        return Reading(told, failed)

    def _add_parts(self, sims: list[Sim], record: Any, split: Split) -> list[str]:
        """Add the SIMs of a record, and return why it, or a part of it, is none."""
        try:
            parts = split(_object(record))
        except NotAnIdentifier as reason:
            return [str(reason)]
        except _ODD_SHAPE as error:
            return [_odd(error)]
        return [reason for part in parts for reason in self._add(sims, part)]

    def _add(self, sims: list[Sim], record: Any) -> list[str]:
        try:
            sims.append(self._reading(record).sim(record, *self._how))
        except NotAnIdentifier as reason:
            return [str(reason)]
        except _ODD_SHAPE as error:
            return [_odd(error)]
        return []


def _is_plain_id(text: str) -> bool:
    if text.isalnum() and text.isascii() and len(text) <= MAX_KEY_BYTES:  # nearly all
        return True
    return text != "" and text == text.strip() and key_problem(text) is None


# --- what decides how a record is read -------------------------------------------------------------------------------

#: Modules whose rules make a SIM of a record, and packages that they ask.
_MODULES = (
    *("sim_sync.carriers.records.reading", __name__, "sim_sync.carriers.json_bodies"),
    *("sim_sync.core.identifiers", "sim_sync.core.sims", "sim_sync.core.storable"),
)
_PACKAGES = ("phonenumbers", "python-stdnum", "jmespath")


@cache
def _rules() -> list[Any]:
    """Return the rules that hold for all carriers, as JSON: another release may read the same record otherwise."""
    # Not which build of Python it is: hosts with several would write every row again, night after night.
    return [RECORD_MAP_VERSION, *sys.version_info[:2], *map(version, _PACKAGES), *map(_source, _MODULES)]


@cache
def _source(module: str) -> str:
    try:
        return digest_of(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return ""


def _told(value: Any) -> Any:
    """Return what a map is made of, as JSON: data as it is, and functions by their code and by what they hold."""
    match value:
        case None | str() | int() | float():
            return value
        case Mapping():
            return {str(key): _told(member) for key, member in value.items()}
        case set() | frozenset():
            return sorted(str(member) for member in value)
        case list() | tuple():
            return [_told(member) for member in value]
        case _:
            return _told_of_code(value)


def _told_of_code(value: Any) -> Any:
    match value:
        case re.Pattern():
            return [value.pattern, value.flags]
        case partial():
            return [_told(value.func), _told(value.args), _told(value.keywords)]
        case FunctionType():
            held = [cell.cell_contents for cell in value.__closure__ or ()]
            return [value.__module__, value.__qualname__, _source(value.__module__), _told(held)]
        case _:
            kind = type(value)
            return [kind.__module__, kind.__qualname__, _source(kind.__module__)]


def _odd(error: Exception) -> str:
    """Return the reason of a record whose shape nobody thought of; the error's own text may quote values."""
    return f"expected a record as the carrier documents it, found another shape ({type(error).__name__})"


def _object(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise NotAnIdentifier(f"expected an object, found {type(record).__name__}")
    return record


def _lookup(path: Field) -> Lookup:
    return value_lookup_of(path) if isinstance(path, str) else path
