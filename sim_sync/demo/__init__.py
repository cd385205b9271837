"""`make run` and `make dev`: the product shown on simulated carriers. Nothing but the command line imports it."""
