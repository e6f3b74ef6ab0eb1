"""Tasks: exit codes, and which backend they mean."""
