"""The tests of one run's share of a session."""
