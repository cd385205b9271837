"""A person's folder with carriers that were walked and compared, for reports on them."""

from collections.abc import Sequence

from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.cli.command_line import CommandLine, an_account


def with_inventory(command_line: CommandLine, *carriers: str) -> None:
    """Write a configuration of these carriers with an inventory; nobody reads its file."""
    ours = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID", "carrier": "Carrier"}}
    accounts = {name: an_account("http://127.0.0.1:9") for name in carriers}
    command_line.write_config({"inventory": ours, "carriers": accounts})


def compared(command_line: CommandLine, theirs: Sequence[Sim], ours: Sequence[Sim], carrier: str = "acme") -> None:
    """Walk over their SIMs, and compare them with ours."""
    command_line.walk(*theirs, carrier=carrier)
    rows = [
        InventorySim(
            carrier=carrier,
            iccid=sim.iccid or "",
            iccid_raw=sim.iccid_raw or "",
            status=sim.status,
            label=sim.label,
            rate_plan=sim.rate_plan,
        )
        for sim in ours
    ]
    engine = command_line.warehouse.engine
    load_inventory(engine, carrier, rows)
    reconcile(engine, carrier, ("status", "label"))
