import { count, number } from "../../design/format";
import { type Column, Table } from "../../design/Table";
import { bucketText } from "./buckets";
import type { Served } from "./types";

const STAGE_WORDS: Readonly<Record<string, string>> = {
  queue: "in the queue",
  fetch: "reading features",
  transform: "on-demand features",
  infer: "computing",
};

/** How long each stage took: its mean, and the buckets that half and 95 % of its times end in. */
export function Latencies({ rows }: { rows: readonly Served[] }) {
  const stages = rows.flatMap((row) => row.stages.map((stage) => ({ version: row.version, ...stage })));
  if (stages.length === 0) {
    return null;
  }
  return (
    <>
      <p className="models-note">
        The server counts times in buckets, so a share of them is known as precisely as its bucket. A request
        waits in the queue; the other stages are of a batch.
      </p>
      <Table
        caption="Latency by stage"
        columns={LATENCIES}
        rows={stages}
        rowKey={(row) => `${row.version} ${row.stage}`}
      />
    </>
  );
}

type Latency = Served["stages"][number] & { version: number };

const LATENCIES: Column<Latency>[] = [
  { key: "version", title: "Version", cell: (row) => `v${row.version}`, order: (row) => row.version },
  {
    key: "stage",
    title: "Stage",
    cell: (row) => STAGE_WORDS[row.stage] ?? row.stage,
    order: (row) => row.stage,
  },
  { key: "count", title: "Times", cell: (row) => count(row.count), order: (row) => row.count, numeric: true },
  {
    key: "mean",
    title: "Mean (ms)",
    cell: (row) => number(row.mean_ms, 3),
    order: (row) => row.mean_ms,
    numeric: true,
  },
  ...(["p50", "p95"] as const).map((key) => ({
    key,
    title: key === "p50" ? "Half within (ms)" : "95 % within (ms)",
    cell: (row: Latency) => bucketText(row[key]),
    order: (row: Latency) => row[key].to_ms ?? Number.MAX_VALUE,
    numeric: true,
  })),
];
