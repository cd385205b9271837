"""Tests of the simulated carriers."""
