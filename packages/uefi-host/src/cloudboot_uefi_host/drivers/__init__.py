"""Drivers in Python: they publish driver bindings, and ConnectController starts them as any other driver."""
