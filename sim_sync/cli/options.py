"""Options and arguments that several commands have."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from sim_sync.core.errors import SimSyncError


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
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default the user of the OS.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the decision.")]
