"""How a chapter talks: what happens, as it happens, and what was checked. Nothing is printed that was not measured."""
import sys
import time

_COLOUR = sys.stdout.isatty()


class Story:
    def __init__(self, title):
        self.started = time.monotonic()
        self.failed = []
        print(f"\n{self._paint('1', title)}\n")

    @staticmethod
    def _paint(code, text):
        return f"\033[{code}m{text}\033[0m" if _COLOUR else text

    def tell(self, text):
        print(f"  {time.monotonic() - self.started:5.1f} s  {text}", flush=True)

    def check(self, good, text):
        """A claim that was tested: it stands, or the demo fails."""
        mark = self._paint("32", "ok  ") if good else self._paint("31", "FAIL")
        print(f"  {time.monotonic() - self.started:5.1f} s  {mark} {text}", flush=True)
        if not good:
            self.failed.append(text)
        return good

    def table(self, title, header, rows):
        rows = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        line = lambda row: "  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))  # noqa: E731
        print(f"\n  {self._paint('1', title)}")
        print(line(header))
        print("  " + "  ".join("-" * width for width in widths))
        for row in rows:
            print(line(row))

    def end(self):
        print()
        if self.failed:
            print(self._paint("31", f"  {len(self.failed)} of the claims above did not hold:"))
            for text in self.failed:
                print("    " + text)
        return not self.failed
