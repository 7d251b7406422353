"""What this board is: hardware, sensors, its Python's own runtimes."""
