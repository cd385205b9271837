-- Dagster's database is made by the image. The warehouse has one of its own: it is backed up and moved alone.
CREATE DATABASE sim_sync;
