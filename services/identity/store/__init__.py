"""What is kept about people, in Postgres."""
