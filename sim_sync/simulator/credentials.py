"""The credentials that simulated carriers accept unless told otherwise. They open nothing but a simulator.

The keys are those of `auth` in `carriers.yaml`; a vendor takes the ones that it needs.
"""

from collections.abc import Mapping
from types import MappingProxyType

#: What every simulated carrier accepts by default.
SIMULATED_CREDENTIALS: Mapping[str, str] = MappingProxyType(
    {
        "username": "AC51500000000000000000000000000515",
        "password": "simulated-password",
    }
)
