"""Between protobuf and the domain, in both directions; nothing else."""
