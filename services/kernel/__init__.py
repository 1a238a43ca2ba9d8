"""Words that the services share; pure, without I/O."""
