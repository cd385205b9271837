"""The pure core: rules and decisions of a sync. No clock, network, SQL, threads or Dagster in here."""
