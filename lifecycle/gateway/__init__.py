"""What the gateway is told: its members, and Traefik's configuration as text."""
