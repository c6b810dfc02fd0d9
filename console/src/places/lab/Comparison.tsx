import { Card } from "../../design/Card";
import { number } from "../../design/format";
import { Table } from "../../design/Table";
import { differences } from "./table";
import type { Run } from "./types";

/** Two runs side by side. */
export function Comparison({ first, second }: { first: Run; second: Run }) {
  return (
    <Card title={`${first.folder} and ${second.folder}`}>
      <Table
        caption="Settings that differ, and all results"
        columns={[
          {
            key: "name",
            title: "Setting or result",
            cell: (row) => <span className="wrapped-name">{row.name}</span>,
            order: (row) => row.name,
          },
          { key: "source", title: "Kind", cell: (row) => row.source, order: (row) => row.source },
          { key: "first", title: first.folder, cell: (row) => text(row.first), numeric: true },
          { key: "second", title: second.folder, cell: (row) => text(row.second), numeric: true },
          {
            key: "change",
            title: "Change (%)",
            cell: (row) => number(row.change, 3),
            order: (row) => row.change,
            numeric: true,
          },
        ]}
        rows={differences(first, second)}
        rowKey={(row) => row.key}
      />
    </Card>
  );
}

function text(value: string | number | null): string {
  return typeof value === "number" ? number(value) : (value ?? "–");
}
