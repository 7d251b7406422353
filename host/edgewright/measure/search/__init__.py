"""The search engine, and its preset for an int8 model that loses too much accuracy."""
