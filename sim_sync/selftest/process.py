"""The victim: `python -m sim_sync.selftest.process CARRIER` syncs one carrier in this process, without Dagster.

Prints one JSON line about the session it leaves. Exit code 0: completed by this process; 3: not; 1: an error.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sim_sync.config import load_config
from sim_sync.core.session import State
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.worker.carrier_work import sync_once
from sim_sync.worker.crash import armed_crash_point
from sim_sync.worker.processes import is_known_dead


def main(carrier_name: str) -> int:
    """Sync the carrier, and return the exit code."""
    config = load_config()
    warehouse = open_warehouse(config.warehouse_url, at=armed_crash_point())
    owner = f"selftest-{os.getpid()}"
    session = sync_once(
        config.carrier(carrier_name),
        warehouse.sessions,
        owner=owner,
        gone_owners=dead_owners(warehouse, carrier_name),
    )
    told = {"state": session.state.value, "fence": session.fence, "pages_done": session.pages_done}
    print(json.dumps(told), flush=True)
    return 0 if session.state is State.COMPLETED and session.owner == owner else 3


def be_victim(environment: Mapping[str, str], carrier_name: str, folder: Path) -> None:
    """Do the same in a process that was forked for it: with an environment and with output files of its own."""
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in ((1, "told"), (2, "complaints")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    sys.exit(main(carrier_name))


def dead_owners(warehouse: Warehouse, carrier: str) -> frozenset[str]:
    """Return the owner of the carrier's open session if its process on this host is certainly dead."""
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.owner is None:
        return frozenset()
    is_dead = is_known_dead(warehouse.sessions.internals(session.session_id).process)
    return frozenset({session.owner}) if is_dead else frozenset()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
