import { useMemo, useState } from "react";
import { $api } from "../../api/client";
import { Button } from "../../design/Button";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { TextField } from "../../design/Field";
import { count } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import { Columns } from "./Columns";
import { Comparison } from "./Comparison";
import "./lab.css";
import { ReportFrame } from "./ReportFrame";
import { RunsTable } from "./RunsTable";
import { columnsOf, filtered, firstColumns } from "./table";
import type { LabRuns } from "./types";

export default function Lab() {
  const query = $api.useQuery("get", "/console/api/lab/runs");
  return (
    <Page
      title="Lab"
      lead="The runs of a folder of the laboratory, with their settings, results and reports."
    >
      <Loaded query={query} label="the runs">
        {(found) =>
          found.folder === null ? (
            <>
              <Empty>
                The console was started without a folder of runs. Start it with --lab DIR to see them here.
              </Empty>
              <Command about="Makes a run">{found.command}</Command>
            </>
          ) : (
            <LabShown found={found} />
          )
        }
      </Loaded>
    </Page>
  );
}

function LabShown({ found }: { found: LabRuns }) {
  const columns = useMemo(() => columnsOf(found.runs), [found.runs]);
  const [chosen, setChosen] = useState<string[]>();
  const [filter, setFilter] = useState("");
  const [compared, setCompared] = useState<readonly string[]>([]);
  const [report, setReport] = useState<string>();
  const shown = chosen ?? firstColumns(columns);
  const runs = useMemo(() => filtered(found.runs, filter), [found.runs, filter]);
  const [first, second] = compared.map((folder) => found.runs.find((run) => run.folder === folder));
  return (
    <>
      {report !== undefined && <ReportFrame folder={report} onClose={() => setReport(undefined)} />}
      {first !== undefined && second !== undefined && <Comparison first={first} second={second} />}
      <Card title="Runs">
        {found.runs.length === 0 ? (
          <Empty>{`${found.folder} has no runs yet.`}</Empty>
        ) : (
          <>
            <TextField
              label="Filter"
              type="search"
              value={filter}
              onChange={setFilter}
              hint="Words of a folder, a status or a setting, such as `noise=on`"
            />
            <Columns columns={columns} shown={shown} onChange={setChosen} />
            <p role="status" className="lab-note">
              {count(runs.length)} of {count(found.runs.length)} runs
              {found.left_out && ". The folder has more than are read"}
              {compared.length === 1 && ". Choose a second run to compare with"}
            </p>
            <RunsTable
              runs={runs}
              columns={columns.filter((one) => shown.includes(one.key))}
              compared={compared}
              onCompare={(folder, checked) =>
                setCompared(
                  checked ? [...compared, folder].slice(-2) : compared.filter((one) => one !== folder),
                )
              }
              onReport={setReport}
            />
            <Common settings={found.common} />
          </>
        )}
        <Command about="Makes a run">{found.command}</Command>
      </Card>
      <Reports found={found} onReport={setReport} />
    </>
  );
}

function Common({ settings }: { settings: LabRuns["common"] }) {
  const all = Object.entries(settings);
  return all.length === 0 ? null : (
    <details>
      <summary>{count(all.length)} settings that all runs have in common</summary>
      <dl className="lab-common">
        {all.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Reports({ found, onReport }: { found: LabRuns; onReport: (folder: string) => void }) {
  return (
    <>
      {found.reports.length > 0 && (
        <Card title="Reports of several runs">
          <ul className="lab-reports">
            {found.reports.map((one) => (
              <li key={one.folder}>
                <Button
                  label={`Open the report of ${one.kind} ${one.name}, ${one.folder}`}
                  onClick={() => onReport(one.folder)}
                >
                  Open
                </Button>{" "}
                {one.kind === "sweep" ? "Sweep" : "Set"} {one.name} in{" "}
                {one.folder === "." ? found.folder : one.folder}: {count(one.runs)}{" "}
                {one.kind === "sweep" ? "runs" : "experiments"}
              </li>
            ))}
          </ul>
        </Card>
      )}
      {found.damaged.length > 0 && (
        <Card title="Records that cannot be read">
          <ul className="lab-reports">
            {found.damaged.map((one) => (
              <li key={one.folder}>
                <code>{one.folder}</code>: {one.why}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}
