"""The pages people read: HTML and inline SVG made on the server, no script."""
