"""The commands `sim-sync discrepancies` and `sim-sync discrepancies ack`, and their options."""

from pathlib import Path
from typing import Annotated

import typer

from sim_sync.cli.exports import ListFormat
from sim_sync.cli.options import Json, OneCarrier

discrepancies_app = typer.Typer()

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
    form: Annotated[ListFormat, typer.Option("--format", help="xlsx and parquet need --output.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write all of it into this file.")
    ] = None,
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
    iccids: Annotated[list[str], typer.Argument(metavar="ICCID", help="As the list has them, or in another form.")],
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
    iccids: Annotated[list[str], typer.Argument(metavar="ICCID", help="As the list has them, or in another form.")],
    *,
    carrier: OneCarrier = None,
) -> None:
    """Let the acknowledged discrepancies of these SIMs count again."""
    from sim_sync.cli.discrepancies import take_back

    raise typer.Exit(take_back(iccids, carrier=carrier))
