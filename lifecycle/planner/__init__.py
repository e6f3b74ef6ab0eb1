"""What a model takes of a card: arithmetic on plain values, after vLLM's own source."""
