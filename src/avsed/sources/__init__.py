"""Where clips and their annotations come from."""
