"""What the lifecycle costs over doing the same by hand; see `nox -s bench`."""
