// The order of a table's rows.

/** What rows are sorted by. */
export type Order<Row> = (row: Row) => string | number | null;

/** The rows in an order, and the rows as they are without one. Nulls are last, whichever way the rest is sorted. */
export function ordered<Row>(
  rows: readonly Row[],
  by: Order<Row> | undefined,
  down: boolean,
): readonly Row[] {
  return by === undefined ? rows : [...rows].sort((a, b) => compared(by(a), by(b), down));
}

function compared(a: string | number | null, b: string | number | null, down: boolean): number {
  if (a === null || b === null) {
    return Number(a === null) - Number(b === null);
  }
  const order = typeof a === "number" && typeof b === "number" ? a - b : TEXTS.compare(String(a), String(b));
  return down ? -order : order;
}

/** `site-2` is before `site-10`. */
const TEXTS = new Intl.Collator("en", { numeric: true });
