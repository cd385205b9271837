"""`python -m sim_sync.simulator`: see `command`."""

import sys

from sim_sync.simulator.command import main

if __name__ == "__main__":
    sys.exit(main())
