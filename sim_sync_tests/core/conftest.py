"""Settings of the core's tests."""

from hypothesis import settings

# A slow machine is no failure: no example has a time limit.
settings.register_profile("sim_sync", deadline=None)
settings.load_profile("sim_sync")
