"""Stories: real processes, real Dagster, real databases, a simulated carrier; each asserts the whole stored state."""
