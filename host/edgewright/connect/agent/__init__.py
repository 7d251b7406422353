"""The agent as it travels: packed, started on a board, greeted."""
