"""Audiovisual audio tagging and sound event detection."""

__version__ = "0.1.0"
