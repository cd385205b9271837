"""`carriers.yaml` and the environment: read, checked as a whole, and turned into the settings of every other package.

All problems are reported at once. Secrets enter here and are shown nowhere.
"""

from typing import TYPE_CHECKING, Any

from sim_sync.config.config import Config, load_config
from sim_sync.config.sections import Schedule

if TYPE_CHECKING:
    from sim_sync.config.carrier import CarrierConfig

__all__ = ["CarrierConfig", "Config", "Schedule", "load_config"]


def __getattr__(name: str) -> Any:
    """Return the class of a carrier's settings: it knows all connectors, which who reads the names alone does not."""
    if name != "CarrierConfig":
        raise AttributeError(name)
    from sim_sync.config.carrier import CarrierConfig

    return CarrierConfig
