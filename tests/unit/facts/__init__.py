"""Facts, from recorded input."""
