"""Protocols that Python publishes."""
