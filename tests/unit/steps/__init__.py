"""Decisions: a backend and a host in, steps out."""
