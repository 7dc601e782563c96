"""For tests of this package and of those that run the game: a script that starts a game and fires."""

SCRIPT = """
# start a game on the first map, walk, fire
20:keydown:enter
22:keyup:enter
30:keydown:enter
32:keyup:enter
40:keydown:enter
42:keyup:enter
50:keydown:enter
52:keyup:enter
120:keydown:up
130:keydown:fire
150:keyup:fire
160:keyup:up
"""
