"""Parsers, decisions, golden files: no processes, no sockets."""
