"""The tests of the warehouse. Rules that are asserted outside of test files are named to pytest here."""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("store_under_test", "store_contract")),
    *(f"{__name__}.{rules}_rules" for rules in ("crash", "end", "lease", "opening", "page", "progress")),
)
