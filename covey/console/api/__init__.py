"""The API of the console: one module or folder for each place. Its routes parse, call what a command calls, and render."""
