"""The Dagster edge tested: names, decisions of the sensor, and runs of the job in this process."""
