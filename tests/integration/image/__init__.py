"""A local vLLM image for tests, made from what this machine has: no registry is asked."""
