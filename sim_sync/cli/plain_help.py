"""How a command describes itself: one style for arguments, and whole sentences in the list of all commands."""

from typing import Any

from typer.core import TyperArgument, TyperCommand


class PlainCommand(TyperCommand):
    """A command whose help has no doubled brackets, no Python types, and no sentence that is cut."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.__class__ = _PlainArgument  # Typer makes its arguments itself, of one class

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows the name: `CARRIER` for what has to be given, `[CARRIER]...` for what may be."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence, or what stands before its semicolon, however long."""
        text = " ".join((self.short_help or self.help or "").split())
        return text.partition(". ")[0].partition(";")[0].removesuffix(".") + "."


class _PlainArgument(TyperArgument):
    def display_type_rich(self, ctx: Any) -> None:
        """Return no type: `<list[str]>` is for programmers."""
