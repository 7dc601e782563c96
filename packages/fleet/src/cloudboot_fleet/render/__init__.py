"""A campaign for readers: lines for a terminal, an HTML page, JUnit XML."""
