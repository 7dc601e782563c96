"""Requests to registries: connections, proxies, credentials, redirects."""
