"""The commands `sim-sync alerts ...` and their options. What each does is in `alerts`."""

from typing import Annotated

import typer

from sim_sync.cli.options import Json, OneCarrier

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
