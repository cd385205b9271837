"""One vendor a file: fields, status words, pagination, auth, limits, dialect, and nothing else. Listed in `registry`.

Facts about each vendor, and where they are from, are in `docs/carriers.md`.
"""
