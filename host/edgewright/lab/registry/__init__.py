"""What a lab has written down: its state, and its boards in the fleet and trust files."""
