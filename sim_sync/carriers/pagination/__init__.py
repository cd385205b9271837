"""Pagination rules: pure functions from (cursor, answer) to the next cursor, or to None at the carrier's end signal.

An empty or short page is not the end unless a rule says so, and a page cap never is. Cursors hold positions, never
origins or secrets, and all that another process needs to continue. Where a rule needs the time, it is an argument.
"""

from sim_sync.carriers.pagination.keyset import Keyset
from sim_sync.carriers.pagination.links import CursorInResponse, NextLinkInBody, NextLinkInHeader
from sim_sync.carriers.pagination.offset import Offset
from sim_sync.carriers.pagination.page_number import PageNumber
from sim_sync.carriers.pagination.rule import (
    EndSigns,
    InBody,
    InHeader,
    Pagination,
    PathOf,
    RecordsOf,
    ResponseField,
    ToBody,
    ToQuery,
)
from sim_sync.core.errors import renamed_names

__all__ = [
    "CursorInResponse",
    "EndSigns",
    "InBody",
    "InHeader",
    "Keyset",
    "NextLinkInBody",
    "NextLinkInHeader",
    "Offset",
    "PageNumber",
    "Pagination",
    "PathOf",
    "RecordsOf",
    "ResponseField",
    "ToBody",
    "ToQuery",
]

__getattr__ = renamed_names(__name__, {"CursorInAnswer": CursorInResponse, "Place": ResponseField})
