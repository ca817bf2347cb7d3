"""What the results say, as numbers, pictures and sentences for a page."""
