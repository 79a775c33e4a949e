"""What is handed to a reviewer: every decision and other change as JSON lines, CSV or a printable report."""
