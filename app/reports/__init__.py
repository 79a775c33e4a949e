"""What is handed to a reviewer: every decision as JSON lines, CSV or a printable report."""
