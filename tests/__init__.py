"""What the tests share, and the tests."""
