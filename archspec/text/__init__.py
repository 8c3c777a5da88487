"""Bytes → data with places: what a file says, and how a complaint about it is quoted."""
