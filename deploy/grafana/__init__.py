"""Dashboards of Grafana and alert rules of Prometheus, made from the list of metrics."""
