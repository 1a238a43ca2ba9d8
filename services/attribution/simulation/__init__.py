"""What any model would say of a period, found by columns and never stored."""
