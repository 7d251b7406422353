"""What compression costs and buys: nets, data, rows, results and their page."""
