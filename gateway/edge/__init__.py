"""The edge: Envoy's configuration, typed, rendered and checked in."""
