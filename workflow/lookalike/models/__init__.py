"""Networks that turn an image into an embedding, and their files."""
