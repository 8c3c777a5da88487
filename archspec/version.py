"""The version: kept apart, so that what writes it into a file need not import the whole package."""

VERSION = "0.1.0"
