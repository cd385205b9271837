"""Exports, read back by the programs of other people."""
