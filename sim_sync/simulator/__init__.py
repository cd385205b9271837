"""The simulated carriers: a real HTTP server on loopback that serves a vendor's SIM list over any number of SIMs.

Stands alone: it imports nothing of sim_sync but `core`, and no HTTP client, so that it cannot share a mistake with the
connectors it is there to test. Start it with `python -m sim_sync.simulator` or `running_simulator` in `control`.
"""
