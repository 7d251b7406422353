"""The wire as records: the host's requests (`commands`), the types of their arguments (`types`), and the board's answers (`answers`)."""
