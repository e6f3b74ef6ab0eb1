"""Models on disk: where they are, and the small one that comes out of a package."""
