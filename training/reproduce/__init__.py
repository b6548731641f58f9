"""The papers' comparisons on the embedded world, one command each. They show signs and mechanisms, not sizes."""
