"""Reconciles fleets of SIM cards with their carriers' paged REST APIs, in small committed steps."""

__version__ = "0.1.0"
