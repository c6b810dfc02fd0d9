import { hrefOf } from "../../app/routes";
import { Command } from "../../design/Command";
import { meaningOf } from "../../design/chart/statuses";
import { instant, number } from "../../design/format";
import { type Column, Table } from "../../design/Table";
import { ageText, intervalText, type Look, paneText, type SeenValue, valueText } from "./look";

const COLUMNS: readonly Column<SeenValue>[] = [
  { key: "ref", title: "Feature", order: (one) => one.ref, cell: (one) => one.ref },
  { key: "value", title: "Value", numeric: true, cell: valueText },
  { key: "se", title: "Standard error", numeric: true, cell: (one) => number(one.se) },
  { key: "interval", title: "95 % interval", numeric: true, cell: intervalText },
  { key: "n", title: "n", numeric: true, cell: (one) => number(one.n, 6) },
  {
    key: "status",
    title: "Status",
    cell: (one) => <span title={meaningOf(one.status)}>{one.status}</span>,
  },
  { key: "pane", title: "Pane (UTC)", cell: paneText },
  { key: "released", title: "Released (UTC)", cell: (one) => instant(one.pane?.released) },
  { key: "age", title: "Age at the moment", cell: ageText },
  {
    key: "release",
    title: "Release",
    cell: (one) =>
      one.pane === null ? (
        "–"
      ) : (
        <a href={hrefOf("releases", [one.pane.release])}>{one.pane.release.slice(0, 8)}</a>
      ),
  },
];

/** What the labels saw, and the command that joins them. */
export function LookAnswer({ look }: { look: Look }) {
  return (
    <>
      {look.rows.map((row) => (
        <Table
          key={JSON.stringify(row.keys)}
          caption={`Seen at ${instant(look.moment)}`}
          columns={COLUMNS}
          rows={row.values}
          rowKey={(one) => one.ref}
        />
      ))}
      <Command about="The labels, as labels.csv">{look.labels}</Command>
      <Command>{look.command}</Command>
    </>
  );
}
