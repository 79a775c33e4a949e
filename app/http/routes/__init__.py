"""The resources of the HTTP service, one file each."""
