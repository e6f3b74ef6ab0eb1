"""Whether a server's answers are sane: what it is asked, and what its answers mean. Pure."""
