"""What the project pins, where, and how each pin comes to a newer version."""
