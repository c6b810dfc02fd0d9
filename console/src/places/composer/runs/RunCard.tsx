import { useState } from "react";
import { api, queries } from "../../../api/client";
import { ApiProblem, asProblem } from "../../../api/problem";
import { hrefOf } from "../../../app/routes";
import { useMay } from "../../../app/session";
import { Badge, type Tone } from "../../../design/Badge";
import { Button } from "../../../design/Button";
import { Command } from "../../../design/Command";
import { count, moment } from "../../../design/format";
import { Problem } from "../../../design/Problem";
import { ProgressBar } from "../../../design/Progress";
import { type Run, useProgress } from "./useRun";

const TONES: Readonly<Record<Run["status"], Tone>> = {
  running: "plain",
  done: "good",
  failed: "bad",
  cancelled: "warn",
};

/** One run: how far it is, what it has published, or why it has failed. */
export function RunCard({ run }: { run: Run }) {
  const { progress, stream } = useProgress(run);
  const mayCancel = useMay("operator");
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined);
  const newest = progress.at(-1);

  function cancel(): void {
    api.DELETE("/console/api/composer/runs/{run_id}", { params: { path: { run_id: run.id } } }).then(
      () => void queries.invalidateQueries({ queryKey: ["get", "/console/api/composer/runs"] }),
      (error: unknown) => setProblem(asProblem(error)),
    );
  }

  return (
    <article className="run" aria-label={`Run of ${run.views.join(", ")}`}>
      <div className="run-top">
        <strong>{run.views.join(", ")}</strong>
        <Badge tone={TONES[run.status]}>{run.status}</Badge>
        <span className="field-hint">{moment(Date.parse(run.started_at) * 1000)}</span>
        {run.status === "running" && mayCancel && <Button onClick={cancel}>Cancel the run</Button>}
      </div>
      {problem !== undefined && <Problem problem={problem} />}
      {run.status === "running" && (
        <div className="run-steps">
          {newest === undefined ? (
            <p className="field-hint">The run starts.</p>
          ) : (
            <ProgressBar label={`${newest.view}: ${newest.step}`} done={newest.done} total={newest.total} />
          )}
          {stream === "lost" && (
            <p className="field-hint" role="status">
              The connection is lost. The run goes on, and this page follows it again by itself.
            </p>
          )}
        </div>
      )}
      {run.status === "cancelled" && (
        <p>What it has published stays. The same run continues with the panes that are left.</p>
      )}
      {run.failure !== null && <Problem problem={new ApiProblem({ status: 0, ...run.failure })} />}
      {run.result !== null && <Result result={run.result} />}
      {run.services !== null && <Services services={run.services} />}
      <details>
        <summary>Command</summary>
        <Command>{run.command}</Command>
      </details>
    </article>
  );
}

function Services({ services }: { services: NonNullable<Run["services"]> }) {
  const { registered, waiting } = services;
  return (
    <>
      {registered.length > 0 && <p>Feature services registered: {registered.join(", ")}.</p>}
      {waiting.length > 0 && (
        <p>
          Not registered yet: {waiting.join(", ")}. Each reads a view that this run left out and the store
          does not have.
        </p>
      )}
    </>
  );
}

function Result({ result }: { result: NonNullable<Run["result"]> }) {
  return (
    <ul className="run-result">
      {result.map((view) => (
        <li key={view.view}>
          <a href={hrefOf("features", [view.view])}>{view.view}</a>: {count(view.opened)} pane(s) opened,{" "}
          {count(view.void)} void
          {view.already_open > 0 && `, ${count(view.already_open)} already published`}
          {view.reports !== null && view.reports > 0 && `, ${count(view.reports)} reports`}
        </li>
      ))}
    </ul>
  );
}
