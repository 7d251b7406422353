"""Worker processes: one a framework, with what they write in scratch folders and how their errors read."""
