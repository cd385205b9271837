"""Keeps the documents true: what they show is generated from, or run against, the code."""
