"""DCASE 2018 task 4: its lists, and its clips from YouTube."""
