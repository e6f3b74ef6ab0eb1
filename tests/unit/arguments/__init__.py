"""vLLM's command line, as the recorded tables read it."""
