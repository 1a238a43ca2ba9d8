"""REST, served from what the contracts themselves say about HTTP."""
