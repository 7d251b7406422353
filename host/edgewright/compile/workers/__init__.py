"""Worker processes, one per framework, their scratch folders, and how their errors are reported."""
