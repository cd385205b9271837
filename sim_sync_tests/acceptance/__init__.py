"""The project as its users meet it: against a server that knows nothing of it, and as an installed package."""
