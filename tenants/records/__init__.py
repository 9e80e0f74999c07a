"""The room's SQL, nowhere else: one file each for the tree, for people and their roles, and for signing in."""
