"""What the commands print: results, tables, progress and errors."""
