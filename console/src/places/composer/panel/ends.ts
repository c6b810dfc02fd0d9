// The ends of lines of a text: a text area writes "\n" only, and a file keeps its own.

const END = /\r\n|\r|\n/;

/** Above so many pairs of lines, lines between the first and the last edit are not compared. */
const MAX_PAIRS = 4_000_000;

interface Line {
  readonly text: string;
  /** Empty after the last line. */
  readonly end: string;
}

/** A text from a text area. A line that the file has keeps its end; a new line gets the end that most lines of the file have. */
export function withEndsOf(file: string, text: string): string {
  const before = linesOf(file);
  const after = text.split(END);
  const most = mostOf(before);
  const kept = before.every((line) => line.end === most || line.end === "") ? [] : matched(before, after);
  return after.map((line, at) => (at === after.length - 1 ? line : line + (kept[at]?.end || most))).join("");
}

/** What a text area shows of a text of a file. */
export function shownIn(text: string): string {
  return text.split(END).join("\n");
}

function linesOf(text: string): readonly Line[] {
  const ends = text.match(/\r\n|\r|\n/g) ?? [];
  return text.split(END).map((line, at) => ({ text: line, end: ends[at] ?? "" }));
}

function mostOf(lines: readonly Line[]): string {
  const counted = ["\n", "\r\n", "\r"].map(
    (end) => [lines.filter((line) => line.end === end).length, end] as const,
  );
  return counted.reduce((most, one) => (one[0] > most[0] ? one : most))[1];
}

/** The line of the file that each line of the text is: a longest common subsequence. */
function matched(before: readonly Line[], after: readonly string[]): readonly (Line | undefined)[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head]?.text === after[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail)?.text === after.at(-1 - tail)) {
    tail += 1;
  }
  const own = before.slice(head, before.length - tail);
  const edited = after.slice(head, after.length - tail);
  return [...before.slice(0, head), ...between(own, edited), ...before.slice(before.length - tail)];
}

function between(before: readonly Line[], after: readonly string[]): readonly (Line | undefined)[] {
  const found: (Line | undefined)[] = after.map(() => undefined);
  const width = after.length + 1;
  if ((before.length + 1) * width > MAX_PAIRS) {
    return found;
  }
  const common = new Uint16Array((before.length + 1) * width); // of the rest of both, from each pair of lines
  const of = (row: number, column: number) => common[row * width + column] ?? 0;
  const same = (row: number, column: number) => before[row]?.text === after[column];
  for (let row = before.length - 1; row >= 0; row -= 1) {
    for (let column = after.length - 1; column >= 0; column -= 1) {
      common[row * width + column] = same(row, column)
        ? of(row + 1, column + 1) + 1
        : Math.max(of(row + 1, column), of(row, column + 1));
    }
  }
  for (let row = 0, column = 0; row < before.length && column < after.length; ) {
    if (same(row, column)) {
      found[column] = before[row];
      row += 1;
      column += 1;
    } else if (of(row + 1, column) >= of(row, column + 1)) {
      row += 1;
    } else {
      column += 1;
    }
  }
  return found;
}
