"""Tests with real processes, sockets and engines; the double stands in only for faults."""
