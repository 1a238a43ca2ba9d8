"""Who is who: follows the event log, keeps people, publishes the people log."""
