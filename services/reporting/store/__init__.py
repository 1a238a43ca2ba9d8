"""The SQL of facts, rollups and figures."""
