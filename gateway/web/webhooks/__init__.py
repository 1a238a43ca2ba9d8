"""What shops deliver, verified and put into the words of the event log; pure, without I/O."""
