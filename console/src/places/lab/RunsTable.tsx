import { Badge } from "../../design/Badge";
import { Button } from "../../design/Button";
import { number } from "../../design/format";
import { type Column, Table } from "../../design/Table";
import { cellOf, type RunColumn } from "./table";
import type { Run } from "./types";

interface RunsTableProps {
  runs: readonly Run[];
  columns: readonly RunColumn[];
  compared: readonly string[];
  onCompare: (folder: string, checked: boolean) => void;
  onReport: (folder: string) => void;
}

/** The runs with the chosen settings and results. */
export function RunsTable({ runs, columns, compared, onCompare, onReport }: RunsTableProps) {
  const all: Column<Run>[] = [
    {
      key: "compare",
      title: "Compare",
      cell: (row) => (
        <input
          type="checkbox"
          aria-label={`Compare ${row.folder}`}
          checked={compared.includes(row.folder)}
          onChange={(event) => onCompare(row.folder, event.target.checked)}
        />
      ),
    },
    { key: "folder", title: "Run", cell: (row) => row.folder, order: (row) => row.folder },
    {
      key: "status",
      title: "Status",
      cell: (row) => <Badge tone={row.status === "done" ? "good" : "bad"}>{row.status}</Badge>,
      order: (row) => row.status,
    },
    {
      key: "report",
      title: "Report",
      cell: (row) =>
        row.has_report ? (
          <Button label={`Open the report of ${row.folder}`} onClick={() => onReport(row.folder)}>
            Open
          </Button>
        ) : (
          "–"
        ),
    },
    ...columns.map((column) => ({
      key: column.key,
      title: column.name,
      cell: (row: Run) => shownCell(row, column),
      order: (row: Run) => cellOf(row, column),
      numeric: column.source === "result",
    })),
    {
      key: "started",
      title: "Started (UTC)",
      cell: (row) => row.started_at.slice(0, 16).replace("T", " ") || "–",
      order: (row) => row.started_at,
    },
    {
      key: "seconds",
      title: "Seconds",
      cell: (row) => number(row.seconds, 3),
      order: (row) => row.seconds,
      numeric: true,
    },
  ];
  return <Table caption="Runs of the laboratory" columns={all} rows={runs} rowKey={(row) => row.folder} />;
}

function shownCell(run: Run, column: RunColumn): string {
  const cell = cellOf(run, column);
  return column.source === "result"
    ? number(typeof cell === "number" ? cell : null)
    : (run.settings[column.name] ?? "–");
}
