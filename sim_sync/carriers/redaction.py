"""Takes the account's own secrets out of a page: a carrier may echo them in any field of a record.

Members whose keys name a secret are gone before (`records.stored`); here it is the values that are known.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sim_sync.carriers.secrets import HIDDEN, Redactor
from sim_sync.core.pages import Page, QuarantinedRecord
from sim_sync.core.sims import Sim
from sim_sync.core.storable import storable_json

#: Fields that may hold a word of the carrier's, and how each of them is cleaned.
_JSON = frozenset({"attributes"})
TEXT_FIELDS = frozenset(Sim._fields) - {
    *_JSON,
    "status",
    "pending",
    "activated_at",
    "carrier_updated_at",
    "quality_flags",
}


def without_own_secrets(page: Page, redactor: Redactor) -> Page:
    """Return a page in which no record holds one of the account's secrets."""
    # One look at all texts together costs next to nothing, and almost always it is the only one.
    if not redactor.may_be_in("\n".join(_texts(page.sims, page.rejected))):
        return page
    return replace(
        page,
        sims=[_sim(sim, redactor) for sim in page.sims],
        rejected=[_rejected(one, redactor) for one in page.rejected],
    )


def _texts(sims: Sequence[Sim], rejected: Sequence[QuarantinedRecord]) -> Iterator[str]:
    for sim in sims:
        for value in sim:
            if isinstance(value, str):
                yield value
    for one in rejected:
        yield one.reason
        yield one.payload


def _sim(sim: Sim, redactor: Redactor) -> Sim:
    def clean(name: str, value: Any) -> Any:
        if value is None or name not in TEXT_FIELDS | _JSON:
            return value
        return _json(value, redactor) if name in _JSON else redactor.in_record(value)

    return Sim._make(clean(name, value) for name, value in zip(Sim._fields, sim, strict=True))


def _rejected(one: QuarantinedRecord, redactor: Redactor) -> QuarantinedRecord:
    return replace(one, reason=redactor.in_record(one.reason), payload=_json(one.payload, redactor))


def _json(text: str, redactor: Redactor) -> str:
    return storable_json(_value(json.loads(text), redactor)) if redactor.may_be_in(text) else text


def _value(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor.in_record(value)
        case int() | float():
            return HIDDEN if redactor.in_record(str(value)) == HIDDEN else value
        case dict():
            return {redactor.in_record(key): _value(member, redactor) for key, member in value.items()}
        case list():
            return [_value(member, redactor) for member in value]
        case _:
            return value
