"""The tests of the pure core: no clock, network, SQL, threads or Dagster in here either."""
