import { Fragment, type ReactNode, useState } from "react";
import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../design/Badge";
import { Button } from "../../design/Button";
import { Card } from "../../design/Card";
import { Facts } from "../../design/Facts";
import { TextField } from "../../design/Field";
import { count, moment, rho } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { Claims } from "./Claims";
import { DayBars } from "./DayBars";
import { Outlook } from "./Outlook";
import { Refusals } from "./Refusals";
import type { Day } from "./stacks";

type Ledger = components["schemas"]["Ledger"];
type State = components["schemas"]["WholeBudget"];

/** One intact ledger: its budget, its days, and its refusals. */
export function LedgerCard({ owner, state }: { owner: string; state: State }) {
  return (
    <>
      <Card title={owner} tools={<WholeCheck owner={owner} />}>
        <Facts facts={factsOf(state)} />
        {state.exact_sums && (
          <p>
            <Badge tone="bad">exact sums</Badge> Sums without noise were opened: no ε holds for these days.
          </p>
        )}
        {state.rebuilt_at !== null && (
          <p>
            <Badge tone="warn">rebuilt</Badge> Rebuilt on {moment(state.rebuilt_at)}: charges before it are
            unknown, and count as spent.
          </p>
        )}
        <Claims
          caption="Privacy loss"
          delta={state.delta}
          rows={[
            ["every day's budget spent", state.budget_claims],
            ...(state.spent_claims.length > 0 ? ([["worst days charged", state.spent_claims]] as const) : []),
          ]}
        />
      </Card>
      <Card title="How long it lasts">
        <Outlook owner={owner} budget={state.budget_micro_rho} />
      </Card>
      <Card title="Days">
        <Days owner={owner} budget={state.budget_micro_rho} />
      </Card>
      <Card title="Refused">
        <Refusals owner={owner} />
      </Card>
    </>
  );
}

function factsOf(state: State): (readonly [string, ReactNode])[] {
  const quotas = Object.entries(state.quotas).map(([view, most]) => `${view} ${rho(most)}`);
  const unfinished =
    state.plans_unfinished > 0 ? `, ${count(state.plans_unfinished)} of them unfinished` : "";
  return [
    [
      "Budget of a client-day",
      `ρ = ${rho(state.budget_micro_rho)}, counted against ${state.counts === "aggregator" ? "an aggregator" : "outsiders"}`,
    ],
    ...(quotas.length > 0 ? [["Quotas", quotas.join(", ")] as const] : []),
    [
      `Today, ${moment(state.today)}`,
      <Fragment key="today">
        <meter
          aria-label="Spent of today's budget"
          min={0}
          max={Math.max(1, state.budget_micro_rho)}
          value={state.today_spent}
        />{" "}
        {rho(state.today_spent)} spent, {rho(state.today_left)} left
      </Fragment>,
    ],
    ["Charged", `${count(state.days_charged)} days by ${count(state.plans_charged)} plans${unfinished}`],
    ["Entries", count(state.entries)],
  ];
}

/** Reads every entry of the ledger on request. */
function WholeCheck({ owner }: { owner: Ledger["owner"] }) {
  const [wanted, setWanted] = useState(false);
  const check = $api.useQuery(
    "get",
    "/console/api/budgets/ledgers/{owner}/check",
    { params: { path: { owner } } },
    { enabled: wanted },
  );
  if (!wanted) {
    return <Button onClick={() => setWanted(true)}>Check every entry</Button>;
  }
  return (
    <Loaded query={check} label="every entry">
      {(found) =>
        found.problem === null ? (
          <Badge tone="good">all {count(found.entries)} entries are whole</Badge>
        ) : (
          <Badge tone="bad">{found.problem.detail}</Badge>
        )
      }
    </Loaded>
  );
}

function Days({ owner, budget }: { owner: string; budget: number }) {
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const days = $api.useQuery("get", "/console/api/budgets/ledgers/{owner}/days", {
    params: {
      path: { owner },
      query: { ...(first === "" ? {} : { first }), ...(last === "" ? {} : { last }) },
    },
  });
  return (
    <>
      <div className="span-fields">
        <TextField label="From (UTC day)" type="date" value={first} onChange={setFirst} />
        <TextField label="To" type="date" value={last} onChange={setLast} />
      </div>
      <Loaded query={days} label="the days">
        {(found) =>
          found.days.length === 0 ? (
            <p>No day was charged{first === "" && last === "" ? " yet" : " in this time"}.</p>
          ) : (
            <>
              {found.more && <p>These are the newest {count(found.days.length)} days of the span.</p>}
              <DayBars days={found.days} budget={budget} />
              <DayTable days={found.days} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

function DayTable({ days }: { days: readonly Day[] }) {
  return (
    <Table
      caption="Charged days"
      rows={[...days].reverse()}
      rowKey={(day) => String(day.day)}
      maxHeight="20rem"
      columns={[
        { key: "day", title: "UTC day", cell: (day) => moment(day.day), order: (day) => day.day },
        {
          key: "views",
          title: "Spent by view",
          cell: (day) =>
            day.views
              .map(
                (share) =>
                  `${share.view} ${rho(share.micro_rho)}${share.collections > 1 ? ` (${share.collections} collections)` : ""}`,
              )
              .join(", "),
        },
        {
          key: "spent",
          title: "Spent",
          numeric: true,
          cell: (day) => rho(day.spent),
          order: (day) => day.spent,
        },
        { key: "left", title: "Left", numeric: true, cell: (day) => rho(day.left), order: (day) => day.left },
        {
          key: "outsiders",
          title: "Against outsiders",
          numeric: true,
          cell: (day) => rho(day.outsiders_micro_rho),
          order: (day) => day.outsiders_micro_rho,
        },
      ]}
    />
  );
}
