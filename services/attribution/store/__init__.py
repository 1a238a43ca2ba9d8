"""What attribution keeps in Postgres: orders, touches, people, rules. All statements are set-based."""
