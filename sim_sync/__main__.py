"""`python -m sim_sync` is `sim-sync`."""

from sim_sync.cli import main

main()
