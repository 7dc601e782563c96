"""One stream of gates, four readers: a person at a terminal, a program, a CI server, a browser."""
