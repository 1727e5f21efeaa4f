"""Tests that break the pipeline on purpose; most run for minutes by `pytest -m attack` only."""
