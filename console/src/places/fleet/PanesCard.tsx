import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { count, moment } from "../../design/format";
import { Table } from "../../design/Table";
import { inline } from "../../design/text";
import { NoView } from "./NoView";
import { PartProblem } from "./PartProblem";
import { span, stateText } from "./state";
import type { Arrival, FleetState, PanesOfView } from "./types";

/** The panes of each view: published, due, attempted too often; and when the next one closes. */
export function PanesCard({ state }: { state: FleetState }) {
  const { views, problem } = state.panes;
  return (
    <Card title="Panes">
      <PartProblem problem={problem} />
      {views.length === 0 ? (
        problem === null && <NoView />
      ) : (
        <Table caption="Panes by view" columns={COLUMNS} rows={views} rowKey={(row) => row.view} />
      )}
      {views.map(
        (one) =>
          one.void_command !== null && (
            <Command key={one.view} about={`Gives a pane of ${one.view} up that was attempted too often`}>
              {one.void_command}
            </Command>
          ),
      )}
    </Card>
  );
}

function later(row: PanesOfView, what: "ready" | "pausing"): number {
  return row.next.reduce((sum, one) => sum + one[what], 0);
}

function closes(row: PanesOfView): number | null {
  const times = row.next.flatMap((one) => (one.next === null ? [] : [one.next]));
  return times.length === 0 ? null : Math.min(...times);
}

const COLUMNS = [
  { key: "view", title: "View", cell: (row: PanesOfView) => row.view, order: (row: PanesOfView) => row.view },
  ...(["opened", "void", "due", "exhausted"] as const).map((what) => ({
    key: what,
    title: { opened: "Opened", void: "Void", due: "Due", exhausted: "Attempted too often" }[what],
    cell: (row: PanesOfView) => count(row[what]),
    order: (row: PanesOfView) => row[what],
    numeric: true,
  })),
  {
    key: "ready",
    title: "Collected next",
    cell: (row: PanesOfView) => (row.next.length === 0 ? "–" : count(later(row, "ready"))),
    numeric: true,
  },
  {
    key: "pausing",
    title: "Tried again later",
    cell: (row: PanesOfView) => (row.next.length === 0 ? "–" : count(later(row, "pausing"))),
    numeric: true,
  },
  {
    key: "next",
    title: "Next pane closes (UTC)",
    cell: (row: PanesOfView) => moment(closes(row)),
    order: closes,
  },
];

/** The panes that were published last. */
export function ArrivalsCard({ state }: { state: FleetState }) {
  const { panes, problem } = state.arrivals;
  return (
    <Card title="Published last">
      <PartProblem problem={problem} />
      {panes.length === 0 ? (
        problem === null && (
          <Empty>{inline("No pane is published yet. `covey run` or a collection publishes them.")}</Empty>
        )
      ) : (
        <Table
          caption="The panes that were published last"
          columns={ARRIVALS}
          rows={panes}
          rowKey={(row) => `${row.view} ${row.version} ${row.pane_start} ${row.seq}`}
        />
      )}
    </Card>
  );
}

const ARRIVALS = [
  {
    key: "view",
    title: "View",
    cell: (row: Arrival) => `${row.view}@v${row.version}`,
    order: (row: Arrival) => row.view,
  },
  {
    key: "pane",
    title: "Pane (UTC)",
    cell: (row: Arrival) => moment(row.pane_start),
    order: (row: Arrival) => row.pane_start,
  },
  {
    key: "state",
    title: "State",
    cell: (row: Arrival) => stateText(row.state, row.reason),
    order: (row: Arrival) => row.state,
  },
  {
    key: "published",
    title: "Published (UTC)",
    cell: (row: Arrival) => moment(row.published),
    order: (row: Arrival) => row.published,
  },
  {
    key: "late",
    title: "After its end",
    cell: (row: Arrival) => span(row.late_s),
    order: (row: Arrival) => row.late_s,
    numeric: true,
  },
];
