"""The selftest tested: its short form on both databases, that it can fail, and that it leaves nothing behind."""
