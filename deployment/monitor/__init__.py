"""The monitor of a role: `/metrics`, `/healthz` and `/readyz` on a port of its own."""
