"""The images and labels a user has: where they are, what they are, whether they can be used."""
