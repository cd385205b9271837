"""The other forms of an ICCID (`core.iccid_forms`) in SQL, as values that an index looks up."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.iccid_forms import DIGITS, WITHOUT_CHECK_DIGIT


def other_forms_of(iccid: sa.ColumnElement[Any]) -> Sequence[sa.ColumnElement[Any]]:
    """Return the other forms of an ICCID; NULL where it has none."""
    digits = sa.func.length(iccid)
    longer = [sa.case((digits == WITHOUT_CHECK_DIGIT, iccid + digit)) for digit in DIGITS]
    shorter = sa.case((digits == WITHOUT_CHECK_DIGIT + 1, sa.func.substr(iccid, 1, WITHOUT_CHECK_DIGIT)))
    return [*longer, shorter]
