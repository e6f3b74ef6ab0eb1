"""The hub's answers, its refusals, and the token."""
