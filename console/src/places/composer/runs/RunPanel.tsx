import { useState } from "react";
import { useMay } from "../../../app/session";
import { Button } from "../../../design/Button";
import { Empty } from "../../../design/Empty";
import { Loaded } from "../../../design/Loaded";
import { useWritten } from "../panel/written";
import { RunCard } from "./RunCard";
import { RunDialog } from "./RunDialog";
import { useRuns } from "./useRun";
import "./runs.css";

/** The runs of this console, and the way to a new one. */
export function RunPanel() {
  const runs = useRuns();
  const written = useWritten();
  const mayRun = useMay("operator");
  const [asks, setAsks] = useState(false);
  return (
    <Loaded query={runs} label="the runs">
      {(data) => {
        const under = data.runs.find((run) => run.status === "running");
        const why = whyNot(data.why_not, mayRun, under !== undefined);
        return (
          <div className="runs">
            <div className="python-tools">
              <Button
                kind="primary"
                disabled={why !== "" || written.isLate}
                title={why}
                onClick={() => setAsks(true)}
              >
                Run in process …
              </Button>
              {why !== "" && <span className="field-hint">{why}</span>}
            </div>
            {data.runs.length === 0 && (
              <Empty>
                No run yet. A run collects the views over the console's events, with noise, and publishes the
                releases into this store.
              </Empty>
            )}
            {data.runs.map((run) => (
              <RunCard key={run.id} run={run} />
            ))}
            {asks && <RunDialog text={written.text} onClose={() => setAsks(false)} />}
          </div>
        );
      }}
    </Loaded>
  );
}

function whyNot(noEvents: string, mayRun: boolean, isRunning: boolean): string {
  if (!mayRun) {
    return "A run spends a budget: it needs the role operator.";
  }
  if (noEvents !== "") {
    return `${noEvents}.`;
  }
  return isRunning ? "One run at a time: wait for the one below, or cancel it." : "";
}
