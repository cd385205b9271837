"""Options and arguments that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_BY_NAME = "By its name in carriers.yaml."
Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help=_BY_NAME)]
SomeCarriers = Annotated[list[str] | None, typer.Argument(metavar="CARRIER", help=_BY_NAME)]
OneCarrier = Annotated[str | None, typer.Option("--carrier", metavar="C", help="Only this carrier.")]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default the user of the OS.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the decision.")]
