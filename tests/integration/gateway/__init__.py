"""A real Traefik before doubles that are broken on purpose, and before real servers."""
