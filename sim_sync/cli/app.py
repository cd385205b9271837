"""The commands of `sim-sync` and their options. What each does is in the file of its name."""

from pathlib import Path
from typing import Annotated

import typer

from sim_sync import __version__
from sim_sync.cli.groups import alerts_app, discrepancies_app, inventory_app, quarantine_app, sweep_app
from sim_sync.cli.options import Carrier, Form, Json, OneCarrier, Output, PlainCommand, SomeCarriers, example_of

app = typer.Typer(
    name="sim-sync",
    help="Reconciles fleets of SIM cards with their carriers, in small committed steps that survive any crash.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

app.add_typer(sweep_app, name="sweep")
app.add_typer(inventory_app, name="inventory")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(discrepancies_app, name="discrepancies")
app.add_typer(alerts_app, name="alerts")


@app.callback(invoke_without_command=True)
def _version(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def init(
    *,
    kind: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Whose API it is; else it asks.")] = None,
    carrier: Annotated[
        str | None, typer.Option("--carrier", metavar="C", help="What the account is called here; else it asks.")
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option("--inventory", metavar="FILE", help="Our own list as CSV; empty for none; else it asks."),
    ] = None,
) -> None:
    """Ask for a carrier and our own list, and write a first `carriers.yaml`; one that is there stays as it is.

    Enter takes the answer in brackets, and so does an input that ends. No secret is asked for: it wants the names of
    the environment variables that hold them.
    """
    from sim_sync.cli.init import Given, write_first_config

    raise typer.Exit(write_first_config(Given(type=kind, carrier=carrier, inventory=inventory)))


@app.command()
def check(carriers: SomeCarriers = None, *, as_json: Json = False) -> None:
    """Check the config, the warehouse, our inventory, and two pages of every carrier. Writes nothing."""
    from sim_sync.cli.check import check_everything

    raise typer.Exit(check_everything(carriers or [], as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of `carriers.yaml`, for editors."""
    from sim_sync.config.schema import json_schema
    from sim_sync.terminal.output import print_json

    print_json(json_schema())


@app.command()
def status(
    *,
    carrier: OneCarrier = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C: bars in a terminal.")] = False,
    as_json: Json = False,
) -> None:
    """Show how far every carrier's sync is, those that want a person first, and what to do about each."""
    from sim_sync.cli.status import show_status

    raise typer.Exit(show_status(carrier=carrier, watch=watch, as_json=as_json))


@app.command()
def sessions(
    *,
    carrier: OneCarrier = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=1_000_000, help="The newest N walks.")] = 20,
    as_json: Json = False,
) -> None:
    """List the past walks, the newest first, and how long the newest took beside what is usual."""
    from sim_sync.cli.history import show_sessions

    raise typer.Exit(show_sessions(carrier=carrier, last=last, as_json=as_json))


@app.command()
def backfill(
    carriers: SomeCarriers = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every carrier in the config.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Give up the open session, walk from page 1.")] = False,
    max_pages: Annotated[
        int | None, typer.Option("--max-pages", metavar="N", min=1, help="Stop after N pages.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing until it ends.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Walk from page 1, say what would be done, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print one JSON document.")] = False,
) -> None:
    """Reconcile carriers now, in this process; an open session continues where it stopped."""
    from sim_sync.cli.backfill import Wish, backfill_carriers

    wish = Wish(restart=restart, max_pages=max_pages, quiet=quiet, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(backfill_carriers(carriers or [], every=every, wish=wish))


@app.command()
def pause(carrier: Carrier) -> None:
    """Stop a carrier's sync until somebody resumes it; a current page is still committed."""
    from sim_sync.cli.sweep import pause_carrier

    raise typer.Exit(pause_carrier(carrier))


@app.command()
def resume(carrier: Carrier) -> None:
    """Let a paused, failed or parked sync continue from its checkpoint."""
    from sim_sync.cli.sweep import resume_carrier

    raise typer.Exit(resume_carrier(carrier))


@app.command()
def restart(
    carrier: Carrier, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a terminal either.")] = False
) -> None:
    """Give up a carrier's open session and walk from page 1, now, in this process.

    In a terminal it asks before it gives up pages that were walked.
    """
    from sim_sync.cli.sweep import restart_carrier

    raise typer.Exit(restart_carrier(carrier, is_sure=yes))


@app.command()
def metrics(
    *,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Serve GET /metrics there until SIGTERM or Ctrl-C."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write them into a file, for node_exporter's textfile collector."
        ),
    ] = None,
) -> None:
    """Print what Prometheus is told: pages, waits, states, ages and discrepancies by carrier."""
    from sim_sync.cli.metrics import show_metrics

    raise typer.Exit(show_metrics(listen=listen, output=output))


@app.command()
def changes(
    *,
    carrier: OneCarrier = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="T", help="A date, a time (UTC), or how long ago: 24h, 7d.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", metavar="F", help="Only this field, as status, presence or sweep_state.")
    ] = None,
    form: Form = "table",
    output: Output = None,
    as_json: Json = False,
) -> None:
    """List what the carriers changed, SIMs that came and went, and decisions on sweeps; the newest first."""
    from sim_sync.cli.history import show_changes

    form = "json" if as_json else form
    raise typer.Exit(show_changes(carrier=carrier, since=since, field=field, form=form, output=output))


@app.command()
def report(
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="The HTML file to write; - is standard output.")
    ],
    carrier: OneCarrier = None,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Where the period begins: a date, a time (UTC), or 24h, 7d.")
    ] = "30d",
) -> None:
    """Write the report for people who decide: one HTML file, which needs nothing else to be opened.

    What is open is open now; new, resolved, changes and walks are those of the period.
    """
    from sim_sync.cli.report import write_report

    raise typer.Exit(write_report(output=output, carrier=carrier, since=since))


@app.command()
def selftest(
    *,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="A PostgreSQL to try it on, in a scratch schema.")
    ] = None,
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="Random kills.")] = 200,
    freezes: Annotated[int, typer.Option("--freezes", metavar="N", min=1, help="Workers frozen and woken.")] = 20,
) -> None:
    """Kill and freeze real syncs of a simulated carrier in a scratch warehouse, and compare the outcomes."""
    from sim_sync.cli.selftest import run_selftest

    raise typer.Exit(run_selftest(url=url, kills=kills, freezes=freezes))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def simulate(context: typer.Context) -> None:
    """Serve a simulated carrier on loopback; `sim-sync simulate --help` lists its options."""
    from sim_sync.simulator.command import main as serve

    raise typer.Exit(serve(list(context.args)))


@app.command(hidden=True)
def demo() -> None:
    """Run the whole main job on simulated carriers: what `make run` does."""
    from sim_sync.demo.run import run_demo

    raise typer.Exit(run_demo(Path.cwd()))


@app.command(hidden=True)
def dev(
    *, port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="The port of the UI.")] = 3000
) -> None:
    """Serve the Dagster UI, the sensor and the schedule, with the simulated carriers: what `make dev` does."""
    from sim_sync.demo.dev import run_dev

    raise typer.Exit(run_dev(Path.cwd(), port=port))


for _group_info in app.registered_groups:
    _group_info.epilog = example_of(_group_info.name or "")
for _group, _typer in (("", app), *((group.name, group.typer_instance) for group in app.registered_groups)):
    for _command in _typer.registered_commands if _typer is not None else ():
        _command.cls = PlainCommand
        _named = _command.name or getattr(_command.callback, "__name__", "")
        _command.epilog = example_of(f"{_group} {_named}".strip())
