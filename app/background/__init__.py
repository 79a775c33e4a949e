"""What goes on beside the requests: done every so often, and said once when it fails."""
