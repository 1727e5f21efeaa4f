"""Cleaning of the store of unfinished and finished work; `runtime/store.py` is the store."""
