"""Everything installed on the board: releases, runtimes, runners, prepared files."""
