"""`sim-sync selftest`: kills, freezes and wakes real sync processes, and compares the outcome with an undisturbed one.

It works in a scratch warehouse against a simulated carrier, so that users can run it on their own PostgreSQL.
"""
