"""The wire as records: what the host may ask (`commands`), of which types (`types`), and what a board answers (`answers`)."""
