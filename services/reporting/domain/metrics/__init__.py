"""The metrics, a module for what they are about; the catalogue gathers them."""
