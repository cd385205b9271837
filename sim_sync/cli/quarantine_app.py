"""The commands `sim-sync quarantine ...` and their options. What each does is in `quarantine`."""

from typing import Annotated

import typer

from sim_sync.cli.options import Json, OneCarrier

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
