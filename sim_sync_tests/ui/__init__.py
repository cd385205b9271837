"""What a person sees in Dagster's UI, with a real browser."""
