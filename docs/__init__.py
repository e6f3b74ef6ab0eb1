"""What people read; `generate.py` writes the reference pages from the code."""
