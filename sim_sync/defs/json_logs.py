"""What the ops log, as JSON lines too where logs are for machines. Dagster shows it as ever."""

import logging

import dagster as dg

from sim_sync.logs import JsonHandler, is_json

#: Records with this attribute are Dagster's own events.
_EVENT = "dagster_event"
#: Dagster writes job, run and step before each message, and keeps here what it was.
_METADATA, _MESSAGE = "dagster_meta", "orig_message"


class RunHandler(JsonHandler):
    """Writes what an op logs; Dagster's own events are in its event log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is a message of ours."""
        return getattr(record, _EVENT, None) is None

    def message_of(self, record: logging.LogRecord) -> str:
        """Return the message as the op wrote it."""
        metadata = getattr(record, _METADATA, None) or {}
        return str(metadata.get(_MESSAGE) or record.getMessage())


def log_run_for_machines(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> None:
    """Let what this op logs be JSON lines too, where that is wished; done twice, it is done once."""
    log: logging.Logger = context.log
    if is_json() and not any(isinstance(handler, RunHandler) for handler in log.handlers):
        log.addHandler(RunHandler(logger="sim_sync.run", carrier=context.partition_key, run=context.run.run_id))
