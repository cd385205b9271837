"""Names that have changed, for connectors of other packages: the old one works for a release, and warns."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed_names(module: str, old_names: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module in which things have new names.

    Args:
        module: its `__name__`.
        old_names: what each old name stands for now.
    """

    def find(name: str) -> Any:
        if name not in old_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = getattr(old_names[name], "__name__", "ResponseField")
        warnings.warn(f"{module}.{name} is called {new} now", DeprecationWarning, stacklevel=2)
        return old_names[name]

    return find
