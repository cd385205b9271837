"""The key `list.lookup`: the call that asks a declared carrier for one SIM, and what means that it is not there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from sim_sync.carriers.dialect import ABOUT_WHO_OR_WHEN
from sim_sync.carriers.json_bodies import lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.point_lookup import PointLookup, iccid_of, one_record, path_segment
from sim_sync.carriers.rest.responses import HeaderName, Match, Path, Text, one_or_more
from sim_sync.carriers.settings import CallPath, Settings
from sim_sync.core.lookups import AskedSim

_NAME = re.compile(r"\{(\w+)\}")
_NAMES = frozenset({"sim_id", "iccid"})


def _entry(value: Any) -> Any:
    """Refuse a status that means something else wherever it comes."""
    statuses = value.get("status") if isinstance(value, Mapping) else value if isinstance(value, int) else None
    for status in statuses if isinstance(statuses, (list, tuple)) else [statuses]:
        if isinstance(status, int) and (status in ABOUT_WHO_OR_WHEN or status >= 500):
            raise ValueError("a status that can mean that a SIM is not there: no 5xx, and none of credentials or speed")
    return value


Status: TypeAlias = Annotated[int, Field(ge=200, le=499)]
NotFound: TypeAlias = Annotated[tuple[Status | Literal["empty"] | Match, ...], one_or_more(_entry), Field(min_length=1)]


class Lookup(Settings):
    """The call that asks for one SIM. `{sim_id}` and `{iccid}` stand for what it is asked for by.

    `record` is the path to the SIM, or to a list of such; without it the answer is the SIM itself.
    """

    path: CallPath
    method: Literal["GET", "POST"] = "GET"
    params: Mapping[str, Text] = Field(default_factory=dict)
    headers: Mapping[HeaderName, Text] = Field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    record: Path | None = None
    not_found: NotFound = (404,)

    @model_validator(mode="after")
    def _names_a_sim(self) -> Any:
        names = self._names()
        if strange := sorted(names - _NAMES):
            raise ValueError(f"{{sim_id}} and {{iccid}} in the lookup, not {', '.join(strange)}")
        if not names:
            raise ValueError("{sim_id} or {iccid} in path, params or body: which SIM is asked for")
        if self.body is not None and self.method != "POST":
            raise ValueError("method: POST, because a body is sent")
        return self

    def rule(self) -> PointLookup:
        """Return what asks."""
        return PointLookup(request=self._request, records=self._records, not_there=self._says_not_there)

    def _request(self, asked: AskedSim) -> Request | None:
        values = {"sim_id": asked.sim_id, "iccid": iccid_of(asked)}
        segments = {name: path_segment(value) for name, value in values.items()}
        if any(not values[name] for name in self._names()) or any(
            segments[name] is None for name in _NAME.findall(self.path)
        ):
            return None
        return Request(
            path=_filled(self.path, segments),
            method=self.method,
            params=_filled(dict(self.params), values),
            headers=self.headers,
            body=_filled(dict(self.body or {}), values) if self.method == "POST" else None,
        )

    def _names(self) -> set[str]:
        """Return what it is asked for by."""
        return {name for text in _texts([self.path, self.params, self.body]) for name in _NAME.findall(text)}

    def _found(self, response: Response) -> Any:
        return response.body if self.record is None else lookup_of(self.record)(response.body)

    def _records(self, response: Response) -> list[Any]:
        found = self._found(response)
        return found if isinstance(found, list) else one_record(found, self.record)

    def _says_not_there(self, response: Response) -> bool:
        return any(self._fits(entry, response) for entry in self.not_found)

    def _fits(self, entry: int | str | Match, response: Response) -> bool:
        match entry:
            case int():
                return response.status == entry
            case Match():
                return entry.fits(response)
            case _:
                return 200 <= response.status < 300 and self._found(response) in (None, [], {})


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value but its keys."""
    match value:
        case str():
            yield value
        case Mapping():
            yield from _texts(list(value.values()))
        case list() | tuple():
            for one in value:
                yield from _texts(one)


def _filled(value: Any, values: Mapping[str, str | None]) -> Any:
    """Return a JSON value with what its placeholders stand for."""
    match value:
        case str():
            return _NAME.sub(lambda name: values[name[1]] or "", value)
        case Mapping():
            return {key: _filled(member, values) for key, member in value.items()}
        case Sequence():
            return [_filled(member, values) for member in value]
        case _:
            return value
