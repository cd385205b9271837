"""The three assets, one partition a carrier: what we think we own, what the carrier says, and what differs."""

from collections.abc import Iterator, Mapping

import dagster as dg

from sim_sync import __version__
from sim_sync.config import Config
from sim_sync.core.discrepancies import Kind
from sim_sync.defs.account import table_metadata
from sim_sync.defs.discrepancies import essentials
from sim_sync.defs.errors import as_dagster_failure
from sim_sync.defs.names import Names
from sim_sync.defs.ops import RETRIES, build_ops
from sim_sync.defs.our_list import list_in_use, load_and_tell
from sim_sync.defs.runs import tag_run
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.reconcile import KindCounts, reconcile
from sim_sync.worker.lease import KeptRun

#: Who is asked about the assets, as Dagster shows it.
OWNERS = ["team:sim_operations"]
_RESOURCES = ("sync_config", "warehouse", "kept_run")


def build_sim_inventory(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of our own list."""

    @dg.asset(
        key=names.asset("sim_inventory"),
        metadata=table_metadata("inventory_sims"),
        owners=OWNERS,
        code_version=__version__,
        partitions_def=partitions,
        group_name=names.group,
        retry_policy=RETRIES,
        kinds={"csv", "xlsx", "parquet", "sql"},
        output_required=False,
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def sim_inventory(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """What the company thinks it owns: its own list of SIMs, read as text, loaded into `inventory_sims`."""
        sync_config, warehouse, kept_run = _resources(context, names)
        with as_dagster_failure():
            tag_run(context, sync_config, warehouse, kept_run)
            metadata = load_and_tell(context, sync_config, warehouse)
        if metadata is not None:
            yield dg.MaterializeResult(metadata=metadata)

    return sim_inventory


def build_carrier_sims(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of what the carrier says."""
    ops = build_ops(names)

    @dg.graph_asset(
        key=names.asset("carrier_sims"),
        partitions_def=partitions,
        group_name=names.group,
        kinds={"rest", "sql"},
        metadata=table_metadata("carrier_sims"),
        owners=OWNERS,
        code_version=__version__,
    )
    def carrier_sims() -> None:
        """What the carrier says: its whole SIM list, walked page by page into `carrier_sims`, surviving any crash."""
        # In the graph they have their own names in each deployment: run config says `open_session` everywhere.
        opened = ops.open_session.alias("open_session")()
        walked = ops.sync_pages.alias("sync_pages")(opened)
        return ops.close_session.alias("close_session")(walked)  # type: ignore[no-any-return]  # composed, not run

    return carrier_sims


def build_sim_discrepancies(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of what differs."""

    @dg.asset(
        key=names.asset("sim_discrepancies"),
        metadata=table_metadata("sim_discrepancies"),
        owners=OWNERS,
        code_version=__version__,
        partitions_def=partitions,
        group_name=names.group,
        retry_policy=RETRIES,
        kinds={"sql"},
        deps=[names.asset("sim_inventory"), names.asset("carrier_sims")],
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def sim_discrepancies(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """What differs between the two, with a history: since when, how often seen, resolved when."""
        sync_config, warehouse, kept_run = _resources(context, names)
        with as_dagster_failure():
            tag_run(context, sync_config, warehouse, kept_run)
            if not sync_config.has_list_of(context.partition_key):
                return dg.MaterializeResult(metadata={"inventory": "none is configured: nothing was compared"})
            told = sync_config.reconcile
            rules = told.rules(sync_config.carrier_names)
            counts = reconcile(warehouse.engine, context.partition_key, told.fields, rules)
            first, last = essentials(warehouse, context.partition_key)
        return dg.MaterializeResult(
            metadata={**first, **_flat(counts.kinds), **last, **list_in_use(warehouse, context.partition_key)}
        )

    return sim_discrepancies


def _resources(context: dg.AssetExecutionContext, names: Names) -> tuple[Config, Warehouse, KeptRun]:
    found = names.resources(context, *_RESOURCES)
    return found["sync_config"], found["warehouse"], found["kept_run"]


def _flat(counts: Mapping[Kind, KindCounts]) -> dict[str, int]:
    """Return the numbers as people read them: what is open, and of that what is new, and what was resolved."""
    return {
        f"{kind.value}_{what}": number
        for kind, count in counts.items()
        for what, number in {"open": count.open, "new": count.opened, "resolved": count.resolved}.items()
    }
