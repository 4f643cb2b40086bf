"""What is known to be wrong with what the project depends on, what looks wrong in its code, and a list of all of it."""
