"""The agent's delivery: packing it, starting it on a board, and the handshake."""
