"""What each paper did, as frozen configurations and functions from a configuration to rows."""
