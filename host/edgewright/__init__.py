"""edgewright: take a trained model to a fleet of edge boards, measure it there, keep it or roll it back."""

__version__ = "0.1.0"
