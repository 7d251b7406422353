"""What a board or this machine lacks, and what to do about it."""
