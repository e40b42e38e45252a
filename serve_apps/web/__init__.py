"""What every HTTP application of the project stands on; it knows none of them and no mesh."""
