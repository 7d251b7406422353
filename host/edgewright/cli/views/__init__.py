"""Shows results to people, as tables and sentences."""
