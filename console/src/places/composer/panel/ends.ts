// The ends of lines of a text: a text area writes "\n" only, and a file keeps its own.

/** A text from a text area, with the ends of lines that the file has. */
export function withEndsOf(file: string, text: string): string {
  return file.includes("\r\n") ? text.replace(/\r?\n/g, "\r\n") : text;
}

/** What a text area shows of a text of a file. */
export function shownIn(text: string): string {
  return text.replace(/\r\n/g, "\n");
}
