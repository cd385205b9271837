"""`carriers.yaml` and the environment: read, checked as a whole, and turned into the settings of every other package.

All problems are reported at once. Secrets enter here and are shown nowhere.
"""

from sim_sync.config.carrier import CarrierConfig
from sim_sync.config.config import Config, load_config
from sim_sync.config.sections import Schedule

__all__ = ["CarrierConfig", "Config", "Schedule", "load_config"]
