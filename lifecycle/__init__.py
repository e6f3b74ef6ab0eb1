"""The whole life of a vLLM server: find out, set up, fetch, start, watch, stop."""
