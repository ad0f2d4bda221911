"""Files, uploads, and immutable dataset versions in the formats people have."""
