"""Vendors behind the slices' ports. Only `bootstrap` imports from here."""
