"""The contract of `core.ports.SessionStore`: one suite, run on every store there is.

A store is put under test by a fixture `under_test` that yields a `StoreUnderTest` with an empty warehouse, and a class
`TestX(SessionStoreContract)` beside it. Another store is another parameter of the fixture.
"""

from sim_sync_tests.warehouse.crash_rules import CrashRules
from sim_sync_tests.warehouse.decision_rules import DecisionRules
from sim_sync_tests.warehouse.end_rules import EndRules
from sim_sync_tests.warehouse.iccid_rules import IccidRules
from sim_sync_tests.warehouse.lease_rules import LeaseRules
from sim_sync_tests.warehouse.lookup_rules import LookupRules
from sim_sync_tests.warehouse.opening_rules import OpeningRules
from sim_sync_tests.warehouse.page_rules import PageRules
from sim_sync_tests.warehouse.progress_rules import ProgressRules
from sim_sync_tests.warehouse.store_under_test import StoreUnderTest

__all__ = ["SessionStoreContract", "StoreUnderTest"]


class SessionStoreContract(
    OpeningRules, PageRules, IccidRules, ProgressRules, LeaseRules, LookupRules, EndRules, DecisionRules, CrashRules
):
    """Every rule that a `SessionStore` keeps."""
