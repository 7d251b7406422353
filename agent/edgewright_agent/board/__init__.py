"""Facts about this board: hardware, sensors, and the runtimes in its Python."""
