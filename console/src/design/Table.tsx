import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { type Order, ordered } from "./order";

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ReactNode;
  /** What the column is sorted by; without it, it cannot be sorted. */
  order?: Order<Row>;
  numeric?: boolean;
}

interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** At most so high; beyond, the rows scroll. */
  maxHeight?: string;
}

const WINDOWED_FROM = 200;
const ROW_PX = 34;

/** A table that sorts by its headers. Of more than 200 rows, only those in sight are in the page. */
export function Table<Row>({ caption, columns, rows, rowKey, maxHeight = "32rem" }: TableProps<Row>) {
  const [sorted, setSorted] = useState<{ key: string; down: boolean } | undefined>();
  const by = columns.find((one) => one.key === sorted?.key)?.order;
  const inOrder = useMemo(() => ordered(rows, by, sorted?.down ?? false), [rows, by, sorted?.down]);
  const scroller = useRef<HTMLElement>(null);
  const windowed = inOrder.length > WINDOWED_FROM;
  const virtual = useVirtualizer({
    count: windowed ? inOrder.length : 0,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const shown = windowed ? items.map((item) => item.index) : inOrder.map((_, index) => index);
  const before = items[0]?.start ?? 0;
  const after = windowed ? virtual.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section className="table-scroll" ref={scroller} style={{ maxHeight }} tabIndex={0} aria-label={caption}>
      <table className="table" aria-rowcount={inOrder.length + 1}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.key}
                scope="col"
                className={column.numeric ? "numeric" : undefined}
                aria-sort={
                  sorted?.key === column.key ? (sorted.down ? "descending" : "ascending") : undefined
                }
              >
                {column.order === undefined ? (
                  column.title
                ) : (
                  <button
                    type="button"
                    className="table-sort"
                    onClick={() =>
                      setSorted({ key: column.key, down: sorted?.key === column.key && !sorted.down })
                    }
                  >
                    {column.title}
                    <span aria-hidden="true">
                      {sorted?.key === column.key ? (sorted.down ? " ▾" : " ▴") : ""}
                    </span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr style={{ height: before }} />}
          {shown.map((index) => {
            const row = inOrder[index];
            return row === undefined ? null : (
              <tr key={rowKey(row)} aria-rowindex={index + 2}>
                {columns.map((column) => (
                  <td key={column.key} className={column.numeric ? "numeric" : undefined}>
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <tr style={{ height: after }} />}
        </tbody>
      </table>
    </section>
  );
}
