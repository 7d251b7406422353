"""edgewright takes a trained model to a fleet of edge boards, measures it there, keeps it or rolls it back."""

__version__ = "0.1.0"
