"""The partitions: one for each carrier in `carriers.yaml`."""

from collections.abc import Sequence

import dagster as dg

#: Run tags, part of the public contract.
CARRIER_TAG = "sim_sync/carrier"
SESSION_TAG = "sim_sync/session"
#: Set by Dagster itself on every run of one partition.
PARTITION_TAG = "dagster/partition"
#: Set by Dagster itself on every run that a sensor or schedule asked for with a key.
RUN_KEY_TAG = "dagster/run_key"


def carrier_partitions(carrier_names: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """Return the partitions definition that all three assets share."""
    return dg.StaticPartitionsDefinition(list(carrier_names))
