"""The demo data set: clips synthesised from a seed, so that nothing need be downloaded."""
