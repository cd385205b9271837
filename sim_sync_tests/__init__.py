"""The tests of sim_sync; the folders mirror the source, `fakes` holds the stand-ins for the outside world."""
