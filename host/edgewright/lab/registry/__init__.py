"""A lab's records: its state, and its boards in the fleet and trust files."""
