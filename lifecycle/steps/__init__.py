"""What a machine should be like, as lists of steps. Pure: a `Host` in, steps out."""
