"""The output of commands: tables and sentences about runs, releases, prices and rows."""
