"""A secret is in the operator's shell and not where Dagster runs: the sync fails with the reason, after one run."""

import json

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync_tests.stories.place import CARRIER, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECRET = "ACME_PASSWORD"


def runs(place: Workspace) -> int:
    with place.instance() as instance:
        return instance.get_runs_count(dg.RunsFilter(tags={"sim_sync/carrier": CARRIER}))


def looks(place: Workspace) -> int:
    """How often the sensor has looked."""
    with place.instance() as instance:
        found = [one for one in instance.all_instigator_state() if one.name == "resume_interrupted_syncs"]
        return sum(len(instance.get_ticks(one.instigator_origin_id, one.selector_id)) for one in found)


def test_a_secret_that_is_missing_where_dagster_runs_fails_the_session_with_the_reason(sqlite_place: Workspace) -> None:
    place = sqlite_place
    interrupted = place.sync(max_pages=3)
    assert (interrupted.state, interrupted.pages_done) == (State.INTERRUPTED, 3)
    account = {"username": SIMULATED_CREDENTIALS["username"], "password": {"env": SECRET}}
    place.write_config(auth=account)
    requests = place.page_requests()

    with place.daemon():
        failed = place.wait_for_state(State.FAILED)
        seen = looks(place)
        place.wait_for(lambda: looks(place) >= seen + 2 or None, "two more looks of the sensor")

    assert runs(place) == 1
    assert (failed.session_id, failed.pages_done, failed.lease_expires_at) == (interrupted.session_id, 3, None)
    assert f"the environment variable {SECRET} to be set" in str(failed.last_error)
    (told,) = json.loads(place.sim_sync("status", "--json").stdout)
    assert (told["state"], told["last_error"]) == ("failed", failed.last_error)
    assert SECRET in place.sim_sync("status").stdout
    assert place.page_requests() == requests

    done = place.sim_sync("backfill", CARRIER, **{SECRET: SIMULATED_CREDENTIALS["password"]})

    completed = place.session()
    assert completed is not None
    assert (done.returncode, completed.state) == (0, State.COMPLETED), done.stdout + done.stderr
    assert (completed.session_id, completed.pages_done) == (interrupted.session_id, 10)
    assert place.page_requests() == requests + 7
