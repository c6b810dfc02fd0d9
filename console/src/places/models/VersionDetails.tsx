import { hrefOf } from "../../app/routes";
import { Alert } from "../../design/Alert";
import { Card } from "../../design/Card";
import { count, moment } from "../../design/format";
import { Table } from "../../design/Table";
import type { Version } from "./types";
import { metricText } from "./VersionsCard";

/** What a version was made from: features, data, settings, files, and its test. */
export function VersionDetails({ name, version }: { name: string; version: Version }) {
  const facts: [string, React.ReactNode][] = [
    ["Registered", `${moment(version.registered_at)} UTC`],
    ["Kind", version.kind || "–"],
    ["Task", version.task || "–"],
    ["Service", version.service || "–"],
    ["Seed", version.seed || "–"],
    ["Views", <Views key="views" views={version.views} />],
    ["Features", version.features.join(", ") || "–"],
    ["Columns", version.columns.join(", ") || "–"],
    ["Labels", labelsText(version)],
  ];
  return (
    <Card title={`${name}@v${version.version}`}>
      {version.damaged !== null && <Alert>{version.damaged}</Alert>}
      <dl className="models-facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {version.metrics.length > 0 && (
        <Table
          caption={`Test of v${version.version}`}
          columns={[
            { key: "of", title: "Tested", cell: (row) => row.of, order: (row) => row.of },
            { key: "name", title: "Metric", cell: (row) => row.name, order: (row) => row.name },
            {
              key: "value",
              title: "Value and interval",
              cell: (row) => metricText(row),
              order: (row) => row.value,
              numeric: true,
            },
          ]}
          rows={version.metrics}
          rowKey={(row) => `${row.of} ${row.name}`}
        />
      )}
      <Table
        caption={`Files of v${version.version}`}
        columns={[
          { key: "file", title: "File", cell: ([file]) => file, order: ([file]) => file },
          { key: "sha256", title: "SHA-256", cell: ([, digest]) => <code>{digest}</code> },
        ]}
        rows={Object.entries(version.files)}
        rowKey={([file]) => file}
      />
    </Card>
  );
}

function Views({ views }: { views: readonly string[] }) {
  if (views.length === 0) {
    return "–";
  }
  return views.map((view, index) => (
    <span key={view}>
      {index > 0 && ", "}
      <a href={hrefOf("features", [view.split("@")[0] ?? view])}>{view}</a>
    </span>
  ));
}

function labelsText({ labels }: Version): string {
  if (labels === null) {
    return "–";
  }
  const rows = labels.rows === null ? "" : `, ${count(labels.rows)} rows`;
  return `${labels.file}${rows}, SHA-256 ${labels.sha256 || "not recorded"}`;
}
