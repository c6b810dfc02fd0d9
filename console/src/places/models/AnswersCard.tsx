import { $api } from "../../api/client";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { count, number } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { type Column, Table } from "../../design/Table";
import { inline } from "../../design/text";
import { Latencies } from "./Latencies";
import type { Model, Served } from "./types";

const READ_EVERY_MS = 5_000;
const STAGES = [
  ["queue_ms", "In the queue"],
  ["read_ms", "Preparing features"],
  ["infer_ms", "Computing"],
] as const;

/** What a running server of models has answered, and how long each stage took. */
export function AnswersCard({ model, serving }: { model: Model; serving: string | null }) {
  const query = $api.useQuery("get", "/console/api/models/statistics", undefined, {
    enabled: serving !== null,
    refetchInterval: READ_EVERY_MS,
    retry: false,
  });
  return (
    <Card title="Answers and latency">
      {serving === null ? (
        <>
          <Empty>
            The console does not know a server of models. Start one, and name it with --serving URL to see its
            answers and latencies.
          </Empty>
          <Start command={model.serve_command} />
        </>
      ) : (
        <Loaded query={query} label="the statistics of the server of models">
          {(found) =>
            found.problem === null ? (
              <Answers rows={found.versions.filter((one) => one.model === model.name)} url={serving} />
            ) : (
              <Away problem={found.problem} command={model.serve_command} />
            )
          }
        </Loaded>
      )}
    </Card>
  );
}

function Away({ problem, command }: { problem: string; command: string }) {
  return (
    <>
      <Empty>The server of models does not answer. {inline(problem)}</Empty>
      <Start command={command} />
    </>
  );
}

function Start({ command }: { command: string }) {
  return <Command about="Starts a server of models">{command}</Command>;
}

function Answers({ rows, url }: { rows: readonly Served[]; url: string }) {
  if (rows.length === 0) {
    return <Empty>The server at {url} has answered nothing with this model since it began.</Empty>;
  }
  return (
    <>
      <p className="models-note">Since the server at {url} began. Times are means in milliseconds.</p>
      <Table
        caption="Answers by version"
        columns={COLUMNS}
        rows={rows}
        rowKey={(row) => String(row.version)}
      />
      <Latencies rows={rows} />
    </>
  );
}

const COLUMNS: Column<Served>[] = [
  { key: "version", title: "Version", cell: (row) => `v${row.version}`, order: (row) => row.version },
  {
    key: "requests",
    title: "Answered",
    cell: (row) => count(row.requests),
    order: (row) => row.requests,
    numeric: true,
  },
  {
    key: "failed",
    title: "Refused or failed",
    cell: (row) => count(row.refused_or_failed),
    order: (row) => row.refused_or_failed,
    numeric: true,
  },
  { key: "rows", title: "Rows", cell: (row) => count(row.rows), order: (row) => row.rows, numeric: true },
  {
    key: "batch",
    title: "Rows a batch",
    cell: (row) => number(row.batch_rows, 3),
    order: (row) => row.batch_rows,
    numeric: true,
  },
  ...STAGES.map(([key, title]) => ({
    key,
    title: `${title} (ms)`,
    cell: (row: Served) => number(row[key], 3),
    order: (row: Served) => row[key],
    numeric: true,
  })),
];
