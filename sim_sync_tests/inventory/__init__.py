"""The tests of reading our own list."""
