"""What a runtime reads and writes, without running anything."""
