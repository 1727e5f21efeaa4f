"""Set-ups that several tests share; one module each."""
