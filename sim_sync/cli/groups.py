"""The commands that have commands of their own, and their options. What each does is in the file of its name."""

from typing import Annotated

import typer

from sim_sync.cli.options import By, Carrier, Form, Json, OneCarrier, Output, Reason

# `sim-sync sweep`.


sweep_app = typer.Typer(help="Look at a held sweep and decide on it.", no_args_is_help=True)


@sweep_app.command("show")
def sweep_show(carrier: Carrier, *, as_json: Json = False) -> None:
    """List the SIMs that a held sweep would mark; only what was shown last can be approved."""
    from sim_sync.cli.sweep import show_sweep

    raise typer.Exit(show_sweep(carrier, as_json=as_json))


@sweep_app.command("approve")
def sweep_approve(
    carrier: Carrier,
    *,
    by: By = None,
    reason: Reason = None,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="DIGEST", help="Only if this is the list that `show` named so.")
    ] = None,
) -> None:
    """Mark exactly the SIMs that `show` has listed. If they have changed since, nothing is marked."""
    from sim_sync.cli.sweep import decide_sweep
    from sim_sync.core.held_sweep import SweepChoice

    raise typer.Exit(decide_sweep(SweepChoice.APPROVE, carrier, by=by, reason=reason, digest=digest))


@sweep_app.command("reject")
def sweep_reject(carrier: Carrier, *, by: By = None, reason: Reason = None) -> None:
    """Say that the walk was wrong: nothing is marked."""
    from sim_sync.cli.sweep import decide_sweep
    from sim_sync.core.held_sweep import SweepChoice

    raise typer.Exit(decide_sweep(SweepChoice.REJECT, carrier, by=by, reason=reason))


# `sim-sync inventory`.


inventory_app = typer.Typer(help="Look at our own list, and take one that is short.", no_args_is_help=True)


@inventory_app.command("show")
def inventory_show(carrier: Carrier, *, as_json: Json = False) -> None:
    """Say which list counts, why a newer one is not taken, and what taking it would do. Writes nothing."""
    from sim_sync.cli.inventory import show_list

    raise typer.Exit(show_list(carrier, as_json=as_json))


@inventory_app.command("accept")
def inventory_accept(carrier: Carrier) -> None:
    """Take our list as it is now, however short it has become: SIMs that it no longer names are removed from it."""
    from sim_sync.cli.inventory import accept_list

    raise typer.Exit(accept_list(carrier))


# `sim-sync discrepancies`, which is a command itself.


discrepancies_app = typer.Typer()

_Iccids = typer.Argument(metavar="ICCID", help="As the list has them, or in another form.")
_By = typer.Option("--by", metavar="WHO", help="Who acknowledges; by default the user of the OS.")
_Until = typer.Option("--until", metavar="DATE", help="They come back on that day (UTC); without it when they change.")


@discrepancies_app.callback(invoke_without_command=True)
def discrepancies(
    context: typer.Context,
    *,
    carrier: OneCarrier = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="K", help="Only this kind.")] = None,
    severity: Annotated[str | None, typer.Option("--severity", metavar="S", help="Only high, medium or low.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Only what the newest comparison has opened.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Resolved and acknowledged ones too.")] = False,
    form: Form = "table",
    output: Output = None,
    as_json: Json = False,
) -> None:
    """List what differs between our inventory and the carriers.

    Known exceptions are acknowledged with `discrepancies ack`.
    """
    from sim_sync.cli.discrepancies import ListOptions, refuse_list_options, show_discrepancies

    if context.invoked_subcommand is not None:
        refuse_list_options(context.params, context.invoked_subcommand)
        return
    options = ListOptions(
        carrier=carrier,
        kind=kind,
        severity=severity,
        only_new=new,
        include_hidden=every,
        form="json" if as_json else form,
        output=output,
    )
    raise typer.Exit(show_discrepancies(options))


@discrepancies_app.command()
def ack(
    iccids: Annotated[list[str], _Iccids],
    *,
    carrier: OneCarrier = None,
    until: Annotated[str | None, _Until] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why.")] = None,
    by: Annotated[str | None, _By] = None,
) -> None:
    """Acknowledge all that differs at these SIMs.

    It leaves lists and checks until the date, or until it changes.
    """
    from sim_sync.cli.discrepancies import acknowledge_discrepancies

    raise typer.Exit(acknowledge_discrepancies(iccids, carrier=carrier, until=until, reason=reason, by=by))


@discrepancies_app.command()
def unack(
    iccids: Annotated[list[str], _Iccids],
    *,
    carrier: OneCarrier = None,
) -> None:
    """Let the acknowledged discrepancies of these SIMs count again."""
    from sim_sync.cli.discrepancies import take_back

    raise typer.Exit(take_back(iccids, carrier=carrier))


# `sim-sync quarantine`.


quarantine_app = typer.Typer(no_args_is_help=True, help="Look at records that could not be read, and resolve them.")

_LARGEST_ID = 2**63 - 1
_Id = typer.Argument(metavar="ID", min=1, max=_LARGEST_ID, help="The number that `list` shows.")


@quarantine_app.command("list")
def list_records(
    *,
    carrier: OneCarrier = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List the records that could not be read."""
    from sim_sync.cli.quarantine import list_quarantine

    raise typer.Exit(list_quarantine(carrier=carrier, include_resolved=every, as_json=as_json))


@quarantine_app.command()
def show(record: Annotated[int, _Id], *, as_json: Json = False) -> None:
    """Show one record, with what the carrier sent."""
    from sim_sync.cli.quarantine import show_record

    raise typer.Exit(show_record(record, as_json=as_json))


@quarantine_app.command()
def replay(records: Annotated[list[int] | None, _Id] = None, *, carrier: OneCarrier = None) -> None:
    """Read records again with today's mapping; without IDs, all.

    Their SIMs are put in as their walk would have. What is newer stays.
    What still cannot be read stays in quarantine, and the exit code is 1 then.
    """
    from sim_sync.cli.quarantine import replay_records

    raise typer.Exit(replay_records(records or [], carrier=carrier))


@quarantine_app.command()
def drop(
    records: Annotated[list[int], _Id],
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays beside the record.")],
) -> None:
    """Give records up for a reason.

    They stay in the table with it, and nothing speaks of them any more.
    """
    from sim_sync.cli.quarantine import drop_records

    raise typer.Exit(drop_records(records, reason))


# `sim-sync alerts`.


alerts_app = typer.Typer(no_args_is_help=True, help="Tell people by webhook or mail what needs them.")

_Receiver = typer.Argument(metavar="RECEIVER", help="By its name; without it, all.")


@alerts_app.command("list")
def list_alerts(
    *,
    carrier: OneCarrier = None,
    every: Annotated[bool, typer.Option("--all", help="Those that are over and delivered, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the alerts that are open, or not delivered yet, the newest first."""
    from sim_sync.cli.alerts import show_alerts

    raise typer.Exit(show_alerts(carrier=carrier, include_closed=every, as_json=as_json))


@alerts_app.command("test")
def try_out(receiver: Annotated[str | None, _Receiver] = None, *, as_json: Json = False) -> None:
    """Send a message that says it is a test, now and once, and say what became of it."""
    from sim_sync.cli.alerts import try_receivers

    raise typer.Exit(try_receivers(receiver, as_json=as_json))


@alerts_app.command()
def send() -> None:
    """Look at all carriers, and deliver what has begun and what is over.

    For cron, where no sensor of Dagster does it; both at once deliver everything once.
    What a receiver does not take is kept and tried again by a later call; the exit code is 3 then.
    """
    from sim_sync.cli.alerts import send_now

    raise typer.Exit(send_now())


@alerts_app.command("close")
def close(carrier: Annotated[str, typer.Argument(metavar="CARRIER", help="One that `carriers.yaml` lacks.")]) -> None:
    """Close the open alerts of a carrier that has left `carriers.yaml`; who was told of them is told of their end.

    Nothing else closes them: another `carriers.yaml` over the same warehouse may still have the carrier.
    """
    from sim_sync.cli.alerts import close_alerts

    raise typer.Exit(close_alerts(carrier))
