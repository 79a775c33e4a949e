"""What is handed to a reviewer: every change as JSON lines, CSV or a printable report."""
