"""From a carrier's record to SIMs: which field is which, what is kept beside them, and what makes a record no SIM.

One odd value never stops a walk: it becomes a quality flag, and a record without an id is rejected with its reason.
"""

from sim_sync.carriers.records.record_map import (
    OUR_FIELDS,
    Field,
    RecordMap,
    array_in_body,
    array_or_nothing,
    list_at,
    parse_time,
)

__all__ = ["OUR_FIELDS", "Field", "RecordMap", "array_in_body", "array_or_nothing", "list_at", "parse_time"]
