import { Badge, type Tone } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { count, moment } from "../../design/format";
import { ProgressBar } from "../../design/Progress";
import { Table } from "../../design/Table";
import { PartProblem } from "./PartProblem";
import { endedText } from "./state";
import type { FleetState, Plan } from "./types";

const TONES: Readonly<Record<string, Tone>> = {
  answered: "good",
  refused: "bad",
  absent: "warn",
  lost: "bad",
};

/** The collection under way: its panes, and what each site has answered so far. */
export function PlanCard({ state }: { state: FleetState }) {
  const { plan, problem } = state.plan;
  return (
    <Card title="Collection under way">
      <PartProblem problem={problem} />
      {plan === null ? (
        problem === null && (
          <Empty>
            {state.project === null
              ? "This directory is a store without a project. A coordinator's collections are shown for a project: start the console with --project DIR."
              : "No collection is under way."}
          </Empty>
        )
      ) : (
        <PlanUnderWay plan={plan} />
      )}
      {state.plan.last !== null && <p className="fleet-note">{endedText(state.plan.last)}</p>}
      {state.project !== null && plan === null && (
        <Command about="Collects what is due">{state.collect_command}</Command>
      )}
    </Card>
  );
}

function PlanUnderWay({ plan }: { plan: Plan }) {
  const answers = plan.sites.filter((site) => site.state !== null).length;
  const views = Object.entries(plan.panes).map(([view, panes]) => `${view} (${count(panes)})`);
  return (
    <>
      <p>
        Plan <code>{plan.plan.slice(0, 12)}</code>: panes of {views.join(", ")}, from {moment(plan.first)} to{" "}
        {moment(plan.last)}. Sites answer until {moment(plan.deadline)} UTC.
      </p>
      <ProgressBar label="Answers" done={answers} total={plan.sites.length} />
      <Table
        caption="Answers of the sites to the plan under way"
        columns={[
          { key: "site", title: "Site", cell: (row) => row.site, order: (row) => row.site },
          {
            key: "state",
            title: "Answer",
            cell: (row) => <Badge tone={TONES[row.state ?? ""] ?? "plain"}>{row.state ?? "none yet"}</Badge>,
            order: (row) => row.state,
          },
          { key: "batches", title: "Batches", cell: (row) => count(row.batches), numeric: true },
          {
            key: "code",
            title: "Code",
            cell: (row) => (row.code === null || row.code === "OK" ? "" : `${row.code} ${row.sentence}`),
            order: (row) => row.code,
          },
        ]}
        rows={plan.sites}
        rowKey={(row) => row.site}
      />
      {plan.commands.map((line, index) => (
        <Command key={line} about={index === 0 ? "Goes on with it" : "Gives it up: its panes are due again"}>
          {line}
        </Command>
      ))}
    </>
  );
}
