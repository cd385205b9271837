"""Tests of `sim_sync.alerts`: what is told, to whom, how often, and by which connection."""
