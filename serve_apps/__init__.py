"""What answers HTTP: applications of Ray Serve."""
