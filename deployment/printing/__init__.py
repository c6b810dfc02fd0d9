"""What commands print for people: tables and sentences of runs, releases, prices and rows."""
