"""What a figure is and how it is computed: pure functions of values."""
