"""Files of events: one file, all files of a folder, or those that match a pattern."""
