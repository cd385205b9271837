"""The Dagster edge, thin: files are named after Dagster's words, and every decision is made in other packages."""
