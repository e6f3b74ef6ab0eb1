"""Model folders, whole and broken."""
