"""Where values come from and go to: sources, views, plans, releases, services, models; as a graph and as OpenLineage events."""
