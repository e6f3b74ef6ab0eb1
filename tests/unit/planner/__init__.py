"""The planner: what it reckons, against what vLLM says."""
