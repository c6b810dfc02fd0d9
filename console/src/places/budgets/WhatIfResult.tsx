import type { components } from "../../api/schema";
import { Badge } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { count, rho } from "../../design/format";
import { Table } from "../../design/Table";
import { Claims, claimed } from "./Claims";
import { EpsilonCurve } from "./EpsilonCurve";
import { fitText, lastingText } from "./lasting";

type Answer = components["schemas"]["WhatIfAnswer"];
type Fit = components["schemas"]["BudgetFit"];

/** The cost of the chosen views, and whether the budgets pay for it. */
export function WhatIfResult({ found, unsaved }: { found: Answer; unsaved: boolean }) {
  return (
    <>
      <Card title="Cost">
        <p>
          A client-day costs ρ = {rho(found.micro_rho)} against an aggregator and{" "}
          {rho(found.outsiders_micro_rho)} against outsiders. A client that takes part every day pays this
          each day.
        </p>
        <Claims
          caption="Privacy loss of all chosen views"
          delta={found.delta}
          rows={[["all chosen", found.claims]]}
        />
        <EpsilonCurve claims={found.curve} limit={found.lasting?.epsilon} />
        {found.lasting !== null && <p>{lastingText(found.lasting)}</p>}
      </Card>
      <Card title="Budgets">
        <p>{fitText(found.budgets)}</p>
        <FitTable fits={found.budgets} />
      </Card>
      <Card title="Views">
        <Table
          caption="Cost of each view"
          rows={found.views}
          rowKey={(one) => one.view}
          columns={[
            { key: "view", title: "View", cell: (one) => one.view, order: (one) => one.view },
            {
              key: "pane",
              title: "Panes of a day",
              numeric: true,
              cell: (one) => `${count(one.panes_per_day)} of ${one.pane}`,
              order: (one) => one.panes_per_day,
            },
            {
              key: "rho",
              title: "ρ of a day",
              numeric: true,
              cell: (one) => rho(one.micro_rho),
              order: (one) => one.micro_rho,
            },
            {
              key: "day",
              title: "ε of a day",
              numeric: true,
              cell: (one) => claimed(one.claims[0]?.aggregator),
              order: (one) => one.claims[0]?.aggregator ?? null,
            },
            {
              key: "year",
              title: "ε of a year",
              numeric: true,
              cell: (one) => claimed(one.claims.at(-1)?.aggregator),
              order: (one) => one.claims.at(-1)?.aggregator ?? null,
            },
          ]}
        />
      </Card>
      <Command about={unsaved ? "The same as a command, once the edits are saved" : "The same as a command"}>
        {found.command}
      </Command>
    </>
  );
}

function FitTable({ fits }: { fits: readonly Fit[] }) {
  return (
    <Table
      caption="Whether each budget pays for a day"
      rows={fits}
      rowKey={(one) => one.owner}
      columns={[
        { key: "owner", title: "Ledger", cell: (one) => one.owner, order: (one) => one.owner },
        {
          key: "fits",
          title: "Every day",
          cell: (one) => (
            <Badge tone={one.fits ? "good" : "bad"}>{one.fits ? "can be collected" : "refused"}</Badge>
          ),
        },
        {
          key: "budget",
          title: "Budget",
          numeric: true,
          cell: (one) => rho(one.budget_micro_rho),
          order: (one) => one.budget_micro_rho,
        },
        {
          key: "cost",
          title: "Cost",
          numeric: true,
          cell: (one) => rho(one.micro_rho),
          order: (one) => one.micro_rho,
        },
        { key: "left", title: "Left", numeric: true, cell: (one) => rho(one.left), order: (one) => one.left },
        {
          key: "quotas",
          title: "Over quota",
          cell: (one) =>
            one.over_quota
              .map((over) => `${over.view}: ${rho(over.micro_rho)} of ${rho(over.quota)}`)
              .join(", ") || "–",
        },
      ]}
    />
  );
}
