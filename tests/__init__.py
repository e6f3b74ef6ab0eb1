"""Tests, and the double that they share."""
