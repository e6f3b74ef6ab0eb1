"""Tests of a live server: they know HTTP and the OpenAI SDK, and nothing of this project."""
