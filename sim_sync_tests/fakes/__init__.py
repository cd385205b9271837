"""Stand-ins for what lies outside: one file a port. The store contract keeps the warehouse honest."""
