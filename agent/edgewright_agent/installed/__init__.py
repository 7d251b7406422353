"""What is installed: releases, runtimes, runners, prepared files."""
