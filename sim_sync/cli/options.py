"""What several commands share: options, arguments, who runs them, and how their help looks."""

import getpass
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

from sim_sync.cli.exports import ListFormat
from sim_sync.core.errors import SimSyncError

# Options and arguments that several commands have.


def _carriers_that_begin_with(incomplete: str) -> Sequence[str]:
    """Return the carriers that a shell may complete to; none where there is no config to read."""
    from sim_sync.config import load_config

    with suppress(SimSyncError):
        return [name for name in load_config().carrier_names if name.startswith(incomplete)]
    return []


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_BY_NAME = "By its name in carriers.yaml."
Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help=_BY_NAME, autocompletion=_carriers_that_begin_with)]
SomeCarriers = Annotated[
    list[str] | None, typer.Argument(metavar="CARRIER", help=_BY_NAME, autocompletion=_carriers_that_begin_with)
]
OneCarrier = Annotated[
    str | None,
    typer.Option("--carrier", metavar="C", help="Only this carrier.", autocompletion=_carriers_that_begin_with),
]
Form = Annotated[ListFormat, typer.Option("--format", help="xlsx and parquet need --output.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write all of it into this file.")]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default the user of the OS.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the decision.")]


# Who runs this process, for what is written down under a name.


def os_user() -> str:
    """Return the name of whoever runs this process, or their number where it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


# How a command describes itself: one style for arguments, and whole sentences in the list of all commands.


#: One command line for each command, as a person would type it; under its help.
EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "init": "sim-sync init --type telnyx --carrier telnyx-eu --inventory inventory.csv",
        "check": "sim-sync check acme",
        "schema": "sim-sync schema > carriers.schema.json",
        "status": "sim-sync status --watch",
        "sessions": "sim-sync sessions --carrier acme --last 7",
        "backfill": "sim-sync backfill acme zeta --max-pages 100",
        "pause": "sim-sync pause acme",
        "resume": "sim-sync resume acme",
        "restart": "sim-sync restart acme --yes",
        "sweep show": "sim-sync sweep show acme",
        "sweep approve": 'sim-sync sweep approve acme --reason "moved to another account"',
        "sweep reject": 'sim-sync sweep reject acme --reason "the list was cut off"',
        "inventory show": "sim-sync inventory show acme",
        "inventory accept": "sim-sync inventory accept acme",
        "metrics": "sim-sync metrics --listen 127.0.0.1:9464",
        "changes": "sim-sync changes --since 24h --field status",
        "report": "sim-sync report --output report.html --since 7d",
        "selftest": "sim-sync selftest --kills 20 --freezes 2",
        "simulate": "sim-sync simulate --port 8585 --sims 20000",
        "quarantine list": "sim-sync quarantine list --carrier acme",
        "quarantine show": "sim-sync quarantine show 12",
        "quarantine replay": "sim-sync quarantine replay --carrier acme",
        "quarantine drop": 'sim-sync quarantine drop 12 --reason "a test record of the carrier"',
        "discrepancies": "sim-sync discrepancies --severity high --new",
        "discrepancies unack": "sim-sync discrepancies unack 89883030000000000009",
        "discrepancies ack": 'sim-sync discrepancies ack 89883030000000000009 --reason "test SIM of the laboratory"',
        "alerts list": "sim-sync alerts list --all",
        "alerts test": "sim-sync alerts test webhook",
        "alerts send": "sim-sync alerts send",
        "alerts close": "sim-sync alerts close old-carrier",
    }
)


def example_of(command: str) -> str | None:
    """Return what stands under the help of a command, called by all its words; None where it has no example yet."""
    return None if command not in EXAMPLES else f"Example: {EXAMPLES[command]}"


class PlainCommand(TyperCommand):
    """A command whose help has no doubled brackets, no Python types, and no sentence that is cut."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.__class__ = _PlainArgument  # Typer makes its arguments itself, of one class

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows the name: `CARRIER` for what has to be given, `[CARRIER]...` for what may be."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the example on one line, however long: it is to be copied."""
        if self.epilog:
            formatter.write(f"\n  {self.epilog}\n")

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence, or what stands before its semicolon, however long."""
        text = " ".join((self.short_help or self.help or "").split())
        return text.partition(". ")[0].partition(";")[0].removesuffix(".") + "."


class _PlainArgument(TyperArgument):
    def display_type_rich(self, ctx: Any) -> None:
        """Return no type: `<list[str]>` is for programmers."""
