"""Tests of the vendors that the simulator imitates."""
