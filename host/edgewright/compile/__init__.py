"""From a source model to a verified artifact."""
