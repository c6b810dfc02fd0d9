import { Badge } from "../../design/Badge";
import { Button } from "../../design/Button";
import { Card } from "../../design/Card";
import { moment, number } from "../../design/format";
import { type Column, Table } from "../../design/Table";
import { Intervals } from "./Intervals";
import { comparedWith, metricNames, metricOf } from "./metrics";
import type { Metric, Model, Version } from "./types";
import { percent } from "./weights";

interface VersionsCardProps {
  model: Model;
  shown: number | undefined;
  mayChange: boolean;
  onShow: (version: number) => void;
  onPromote: (version: number) => void;
  onDelete: (version: number) => void;
}

/** The versions of a model with the metrics of their tests. */
export function VersionsCard({ model, mayChange, shown, onShow, onPromote, onDelete }: VersionsCardProps) {
  const names = metricNames(model.versions);
  const columns: Column<Version>[] = [
    {
      key: "version",
      title: "Version",
      cell: (row) => (
        <Button
          pressed={row.version === shown}
          onClick={() => onShow(row.version)}
          label={`Show v${row.version}`}
        >
          v{row.version}
        </Button>
      ),
      order: (row) => row.version,
    },
    {
      key: "share",
      title: "In force",
      cell: (row) => (row.share > 0 ? <Badge tone="good">{percent(row.share)}</Badge> : "–"),
      order: (row) => row.share,
    },
    {
      key: "registered",
      title: "Registered (UTC)",
      cell: (row) => moment(row.registered_at),
      order: (row) => row.registered_at,
    },
    { key: "kind", title: "Kind", cell: (row) => row.kind || "–", order: (row) => row.kind },
    ...names.map((name) => ({
      key: `metric ${name}`,
      title: name,
      cell: (row: Version) => metricText(metricOf(row, name)),
      order: (row: Version) => metricOf(row, name)?.value ?? null,
      numeric: true,
    })),
    ...(mayChange
      ? [
          {
            key: "actions",
            title: "Change",
            cell: (row: Version) => (
              <span className="models-actions">
                <Button label={`Promote v${row.version}`} onClick={() => onPromote(row.version)}>
                  Promote
                </Button>
                {row.deletable && (
                  <Button
                    kind="danger"
                    label={`Delete v${row.version}`}
                    onClick={() => onDelete(row.version)}
                  >
                    Delete
                  </Button>
                )}
              </span>
            ),
          },
        ]
      : []),
  ];
  return (
    <Card title="Versions">
      <Table
        caption={`Versions of ${model.name}`}
        columns={columns}
        rows={model.versions}
        rowKey={(row) => String(row.version)}
      />
      {names.length > 0 && (
        <>
          <p className="models-note">
            Metrics of the test of each version; intervals of 95 %, over resampled days of the test.
            {baselines(model)}
          </p>
          <Intervals versions={model.versions} />
        </>
      )}
    </Card>
  );
}

export function metricText(metric: Metric | undefined): string {
  if (metric === undefined || metric.value === null) {
    return "–";
  }
  const interval =
    metric.low === null || metric.high === null ? "" : ` [${number(metric.low)}, ${number(metric.high)}]`;
  return `${number(metric.value)}${interval}`;
}

function baselines(model: Model): string {
  const names = comparedWith(model.versions);
  return names.length === 0
    ? ""
    : ` A version's details also have those of what it was compared with: ${names.join(", ")}.`;
}
