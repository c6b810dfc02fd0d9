"""`covey train` and `covey predict`: configuration, fitting, reports, archives and lineage."""
