"""`sim-sync alerts`: what people were told, whether it can reach them, and a round of it without Dagster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim_sync.alerts import receivers_of, send_alerts
from sim_sync.alerts.notices import trial_notice
from sim_sync.config import load_config
from sim_sync.config.alerts import Alerts
from sim_sync.core.deliveries import AlertEvent, Delivery, as_json
from sim_sync.core.errors import DeliveryFailed, InputError
from sim_sync.core.notes import time_text
from sim_sync.core.text import counted
from sim_sync.terminal.output import ExitCode, print_json, say
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import open_warehouse, open_warehouse_to_read
from sim_sync.warehouse.alerts import Alert, SqlAlerts

#: A terminal shows this many alerts; `--json` has all.
_SHOWN_IN_TABLE = 200


def show_alerts(*, carrier: str | None, include_closed: bool, as_json: bool) -> ExitCode:
    """Print the alerts of one carrier, or of all that there ever were."""
    config = load_config()
    if carrier is not None:
        config.require_known(carrier)
    warehouse = open_warehouse_to_read(config.warehouse_url)
    carriers = None if carrier is None else [carrier]
    found = SqlAlerts(warehouse.engine).listed(carriers, include_closed=include_closed)
    if as_json:
        print_json([_object(alert) for alert in found])
    else:
        _print_table(found, include_closed=include_closed)
    return ExitCode.DONE


def try_receivers(receiver: str | None, *, as_json: bool) -> ExitCode:
    """Send a test message to one receiver or to all; nothing of it is kept."""
    config = load_config()
    receivers = receivers_of(_required(config.alerts, config.path))
    if not receivers:
        raise InputError(f"{config.path}: `alerts` has no receiver; expected `webhook` or `smtp`")
    if receiver is not None and receiver not in receivers:
        raise InputError(f"no receiver {receiver!r}; {config.path} has: {', '.join(receivers)}")
    now = SqlAlerts(open_warehouse_to_read(config.warehouse_url).engine).now()
    outcomes: dict[str, str | None] = {}
    for name in [receiver] if receiver is not None else list(receivers):
        try:
            receivers[name].send(trial_notice(name, now))
            outcomes[name] = None
        except DeliveryFailed as failure:
            outcomes[name] = str(failure)
    if as_json:
        print_json([{"receiver": name, "delivered": why is None, "error": why} for name, why in outcomes.items()])
    else:
        for name, why in outcomes.items():
            say(f"{name}: delivered" if why is None else f"{name}: not delivered: {why}")
    return ExitCode.FAILED if any(outcomes.values()) else ExitCode.DONE


def send_now() -> ExitCode:
    """Do what a tick of the sensor does."""
    config = load_config()
    settings = _required(config.alerts, config.path)
    alerts = SqlAlerts(open_warehouse(config.warehouse_url).engine)
    sent = send_alerts(config, settings, alerts, receivers_of(settings))
    say(f"{sent.opened:,} opened, {sent.closed:,} over, {counted(sent.delivered, 'message')} delivered")
    for told in sent.failed:
        say(f"not delivered: {told}")
    found = alerts.listed(include_closed=False)
    waiting = [at for alert in found if (at := alert.next_attempt_at) is not None]
    if not waiting:
        return ExitCode.DONE
    left = sum(not one.is_settled for alert in found for one in alert.deliveries)
    say(
        f"{counted(left, 'message')} not delivered yet; the next attempt is due {time_text(min(waiting), alerts.now())}"
    )
    return ExitCode.NOT_FINISHED


def close_alerts(carrier: str) -> ExitCode:
    """Close the open alerts of a carrier that this configuration does not have; the next round tells their end."""
    config = load_config()
    if carrier in config.carrier_names:
        raise InputError(
            f"{config.path} has the carrier {carrier!r}: its alerts are over by themselves, when what they say is over"
        )
    closed = SqlAlerts(open_warehouse(config.warehouse_url).engine).close_all_of(carrier)
    if not closed:
        raise InputError(f"no alert of the carrier {carrier!r} is open; `sim-sync alerts list` shows those that are")
    say(f"{carrier}: {counted(closed, 'alert')} closed")
    return ExitCode.DONE


def _required(settings: Alerts | None, path: Path) -> Alerts:
    if settings is None:
        raise InputError(f"{path} has no section `alerts`: it names who is told of what")
    return settings


def _object(alert: Alert) -> dict[str, Any]:
    names = ("id", "carrier", "kind", "opened_at", "closed_at", "message", "closing_message", "next_attempt_at")
    found = {name: getattr(alert, name) for name in names}
    return found | {"deliveries": as_json(alert.deliveries)}


def _print_table(found: Sequence[Alert], *, include_closed: bool) -> None:
    table = narrow_table("id", "carrier", "kind", "since", "over", "told", "message", foldable={"told", "message"})
    for alert in found[:_SHOWN_IN_TABLE]:
        over = f"{alert.closed_at:%Y-%m-%d %H:%M}" if alert.closed_at else ""
        since = f"{alert.opened_at:%Y-%m-%d %H:%M}"
        message = alert.message if alert.closed_at is None else alert.text_of(AlertEvent.CLOSED)
        table.add_row(str(alert.id), alert.carrier, alert.kind, since, over, _told(alert.deliveries), message)
    if found:
        print_table(table)
    rest = f"; the table shows {_SHOWN_IN_TABLE}, --json has all" if len(found) > _SHOWN_IN_TABLE else ""
    say(f"{counted(len(found), 'alert')}{'' if include_closed else ' open or not delivered'}{rest}")


def _told(deliveries: Sequence[Delivery]) -> str:
    return "; ".join(f"{one.receiver} {one.event.value}: {_state(one)}" for one in deliveries) or "nobody"


def _state(delivery: Delivery) -> str:
    if delivery.delivered_at is not None:
        return "delivered"
    if delivery.gave_up_at is not None:
        return f"given up ({delivery.last_error})"
    return f"tried {counted(delivery.attempts, 'time')} ({delivery.last_error})" if delivery.last_error else "waiting"
