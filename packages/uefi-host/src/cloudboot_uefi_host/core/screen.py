"""The text screen: a grid of characters."""

from __future__ import annotations

COLUMNS, ROWS = 80, 25


class Screen:
    """80 columns and 25 rows, as mode 0 of Simple Text Output has them (UEFI 2.10 section 12.4)."""

    def __init__(self) -> None:
        self.column = self.row = 0
        self._cells = [[" "] * COLUMNS for _ in range(ROWS)]

    def clear(self) -> None:
        """Empty the screen, cursor at the top left."""
        self.column = self.row = 0
        self._cells = [[" "] * COLUMNS for _ in range(ROWS)]

    def move(self, column: int, row: int) -> bool:
        """Place the cursor; false if the position is outside the screen."""
        if not (0 <= column < COLUMNS and 0 <= row < ROWS):
            return False
        self.column, self.row = column, row
        return True

    def write(self, text: str) -> None:
        """Print: backspace, line feed and carriage return move the cursor (section 12.4.3)."""
        for character in text:
            if character == "\n":
                self._line_feed()
            elif character == "\r":
                self.column = 0
            elif character == "\b":
                self.column = max(0, self.column - 1)
            elif character >= " ":
                self._cells[self.row][self.column] = character
                self.column += 1
                if self.column == COLUMNS:
                    self.column = 0
                    self._line_feed()

    def _line_feed(self) -> None:
        if self.row + 1 < ROWS:
            self.row += 1
        else:
            self._cells = [*self._cells[1:], [" "] * COLUMNS]

    def text(self) -> str:
        """What the screen shows, without spaces at line ends."""
        return "\n".join("".join(line).rstrip() for line in self._cells).rstrip("\n")
