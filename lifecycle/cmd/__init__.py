"""What people type: the Invoke tasks. They talk; deciding and changing is done elsewhere."""
