"""The lines of a text file with their numbers, of which some may be given back and read again."""

from typing import TextIO

#: Characters of one line that are kept. What stands behind them is passed over: a row of SIM data has hundreds.
LONGEST_LINE = 100_000
#: Lines that may be taken since the last `begin`: more than a cell with line ends in it has.
_MOST_TAKEN = 500


class Lines:
    """An iterator over the lines, line ends included.

    `taken` are the lines given out since the last `begin`. After too many of them it stops as if the file were at its
    end, until they are given back or `begin` is called: a quote that is never closed must not swallow the file.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._given_back: list[str] = []
        self.taken: list[str] = []
        self.first = 1
        #: Whether a line since the last `begin` was longer than what is kept of it.
        self.is_cut = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MOST_TAKEN:
            raise StopIteration
        line = self._given_back.pop() if self._given_back else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """Start with the next row: its first line has the number `first`."""
        self.first += len(self.taken)
        self.taken.clear()
        self.is_cut = False

    def give_back(self, keep: int = 0) -> None:
        """Give back the lines that were taken, but for the first `keep`."""
        self._given_back.extend(reversed(self.taken[keep:]))
        del self.taken[keep:]

    def _read(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            self.is_cut = True
            while (rest := self._file.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
                pass
        return line
