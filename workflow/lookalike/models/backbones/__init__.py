"""Networks that are a backbone, which may have learned something before, and a head."""
