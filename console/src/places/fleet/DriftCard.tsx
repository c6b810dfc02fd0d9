import { useState } from "react";
import { $api } from "../../api/client";
import { Badge } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Select } from "../../design/Field";
import { count, moment, number } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { NoView } from "./NoView";
import type { DriftOfView } from "./types";
import { useRefetchOn } from "./useFleet";

const LAST = ["1", "2", "3", "7"] as const;

/** Whether the newest panes of each view differ from their own past by more than noise and usual variation explain. */
export function DriftCard({ newest }: { newest: number | undefined }) {
  const [last, setLast] = useState("1");
  const query = $api.useQuery("get", "/console/api/fleet/drift", {
    params: { query: { last: Number(last) } },
  });
  useRefetchOn(newest, query.refetch);
  return (
    <Card
      title="Drift"
      tools={
        <Select
          label="Newest panes compared as one"
          value={last}
          options={LAST.map((one) => [one, one])}
          onChange={setLast}
        />
      }
    >
      <Loaded query={query} label="the checks of drift">
        {(found) =>
          found.views.length === 0 ? (
            <NoView />
          ) : (
            <>
              <Table
                caption="Drift by view"
                columns={COLUMNS}
                rows={found.views}
                rowKey={(row) => row.view}
              />
              <Changes views={found.views} />
              <Command>{found.command}</Command>
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

function verdict(row: DriftOfView) {
  if (row.why !== null) {
    return <Badge>not checked</Badge>;
  }
  return row.drifts ? <Badge tone="bad">differs</Badge> : <Badge tone="good">no drift found</Badge>;
}

const COLUMNS = [
  { key: "view", title: "View", cell: (row: DriftOfView) => row.view, order: (row: DriftOfView) => row.view },
  { key: "verdict", title: "Check", cell: verdict, order: (row: DriftOfView) => Number(row.drifts) },
  {
    key: "p",
    title: "p",
    cell: (row: DriftOfView) => number(row.p, 2),
    order: (row: DriftOfView) => row.p,
    numeric: true,
  },
  { key: "level", title: "Level", cell: (row: DriftOfView) => number(row.level, 2), numeric: true },
  { key: "series", title: "Series", cell: (row: DriftOfView) => count(row.series), numeric: true },
  { key: "past", title: "Panes of the past", cell: (row: DriftOfView) => count(row.past), numeric: true },
  {
    key: "newest",
    title: "Newest pane (UTC)",
    cell: (row: DriftOfView) => moment(row.newest.at(-1)),
  },
  {
    key: "why",
    title: "Why not checked",
    cell: (row: DriftOfView) => <span className="wrapped">{row.why ?? ""}</span>,
  },
];

function Changes({ views }: { views: readonly DriftOfView[] }) {
  const rows = views.flatMap((view) => view.changes.map((change) => ({ view: view.view, ...change })));
  if (rows.length === 0) {
    return null;
  }
  return (
    <>
      <h3>What differs</h3>
      <Table
        caption="Features that differ from their past"
        columns={[
          { key: "view", title: "View", cell: (row) => row.view, order: (row) => row.view },
          { key: "feature", title: "Feature", cell: (row) => row.feature, order: (row) => row.feature },
          { key: "key", title: "Key", cell: (row) => row.key?.join(", ") ?? "all keys" },
          { key: "usual", title: "Usual", cell: (row) => number(row.usual), numeric: true },
          {
            key: "size",
            title: "Change",
            cell: (row) => number(row.size),
            numeric: true,
            order: (row) => row.size,
          },
          {
            key: "interval",
            title: "Interval",
            cell: (row) => `${number(row.low)} to ${number(row.high)}`,
            numeric: true,
          },
          { key: "p", title: "p", cell: (row) => number(row.p, 2), order: (row) => row.p, numeric: true },
          { key: "since", title: "Since (UTC)", cell: (row) => moment(row.since), order: (row) => row.since },
        ]}
        rows={rows}
        rowKey={(row) => `${row.view} ${row.feature} ${row.key?.join() ?? ""}`}
      />
    </>
  );
}
