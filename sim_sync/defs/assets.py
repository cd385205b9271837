"""The three assets, one partition a carrier: what we think we own, what the carrier says, and what differs."""

from collections.abc import Mapping

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.printable import printable
from sim_sync.defs.ops import RETRIES, close_session, open_session, sync_pages
from sim_sync.defs.runs import introduce_run
from sim_sync.defs.telling import told_to_dagster
from sim_sync.inventory import Inventory
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile

GROUP = "sim_sync"
#: How many rows that could not be used are named in the metadata; all of them are counted.
_FINDINGS_SHOWN = 20


def build_sim_inventory(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Build the asset of our own list."""

    @dg.asset(partitions_def=partitions, group_name=GROUP, retry_policy=RETRIES, kinds={"csv", "sql"})
    def sim_inventory(
        context: dg.AssetExecutionContext,
        sync_config: dg.ResourceParam[Config],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        """What the company thinks it owns: its own list of SIMs, read as text, loaded into `inventory_sims`."""
        with told_to_dagster():
            introduce_run(context)
            carrier = context.partition_key
            inventory = sync_config.read_inventory(carrier)
            if inventory is None:
                return dg.MaterializeResult(metadata={"inventory": "none is configured", "rows": 0})
            counts = load_inventory(warehouse.engine, carrier, inventory.rows)
        return dg.MaterializeResult(
            metadata={
                "rows": len(inventory.rows),
                "added": counts.added,
                "changed": counts.changed,
                "removed": counts.removed,
                "unusable_rows": len(inventory.findings),
                "unknown_status_words": _words(inventory.unknown_status_words),
                "findings": _findings(inventory),
            }
        )

    return sim_inventory


def build_carrier_sims(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Build the asset of what the carrier says."""

    @dg.graph_asset(partitions_def=partitions, group_name=GROUP, kinds={"rest", "sql"})
    def carrier_sims() -> None:
        """What the carrier says: its whole SIM list, walked page by page into `carrier_sims`, surviving any crash."""
        return close_session(sync_pages(open_session()))  # type: ignore[no-any-return]  # a graph is composed, not run

    return carrier_sims


def build_sim_discrepancies(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Build the asset of what differs."""

    @dg.asset(
        partitions_def=partitions,
        group_name=GROUP,
        retry_policy=RETRIES,
        kinds={"sql"},
        deps=["sim_inventory", "carrier_sims"],
    )
    def sim_discrepancies(
        context: dg.AssetExecutionContext,
        sync_config: dg.ResourceParam[Config],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        """What differs between the two, with a history: since when, how often seen, resolved when."""
        with told_to_dagster():
            introduce_run(context)
            if sync_config.inventory is None:
                return dg.MaterializeResult(metadata={"inventory": "none is configured: nothing was compared"})
            counts = reconcile(warehouse.engine, context.partition_key, sync_config.reconcile.fields)
        return dg.MaterializeResult(metadata=_flat(counts.by_kind()))

    return sim_discrepancies


def _flat(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {f"{kind}_{what}": number for kind, by_what in counts.items() for what, number in by_what.items()}


def _words(words: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(word)} ({count})" for word, count in sorted(words.items())) or "none"


def _findings(inventory: Inventory) -> dg.TableMetadataValue:
    """Return the first findings as a table of plain texts: in markdown, a cell of the list could be an image."""
    rows = [
        dg.TableRecord({"line": finding.line, "reason": printable(finding.reason)})
        for finding in inventory.findings[:_FINDINGS_SHOWN]
    ]
    columns = [dg.TableColumn("line", "int"), dg.TableColumn("reason", "string")]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))
