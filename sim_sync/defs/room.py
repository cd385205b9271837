"""A run of the night or of the sensor that finds the warehouse full waits until somebody has made room."""

import dagster as dg

from sim_sync.core.errors import NoRoomLeft
from sim_sync.core.opening import Trigger
from sim_sync.defs.runs import trigger_of
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.space import require_room
from sim_sync.worker.kept_run import Wait

#: How often a full warehouse is looked at again, and for how long: a night, after which the run fails and says why.
LOOK_EVERY_SECONDS = 10.0
LOOKS = 6 * 360


def wait_for_room(context: dg.OpExecutionContext, warehouse: Warehouse, wait: Wait) -> None:
    """Return when there is room: nothing could remember that this carrier was to be walked tonight.

    A person's run does not wait: the person is told.

    Raises:
        WarehouseFull: there is none; a run that waited has done so for hours.
    """
    looks = 1 if trigger_of(context) is Trigger.OPERATOR else LOOKS
    for look in range(looks):
        try:
            require_room(warehouse.engine)
        except NoRoomLeft as full:
            if look + 1 == looks:
                raise
            if look == 0:
                context.log.warning(f"{context.partition_key}: waiting for room: {full}")
            wait(LOOK_EVERY_SECONDS)
        else:
            return
