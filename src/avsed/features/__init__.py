"""Recipes that turn media into feature arrays (Section 4.2)."""
