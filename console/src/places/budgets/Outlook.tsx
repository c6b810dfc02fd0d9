import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../design/Badge";
import { Command } from "../../design/Command";
import { TextField } from "../../design/Field";
import { rho } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { limitError } from "./choice";
import { lastingText } from "./lasting";

type Found = components["schemas"]["LedgerOutlook"];

/** How long the budget of a ledger lasts. */
export function Outlook({ owner, budget }: { owner: string; budget: number }) {
  const [limit, setLimit] = useState("10");
  const error = limit.trim() === "" ? "A number above 0, at most 10,000" : limitError(limit);
  const [asked, setAsked] = useState(10);
  const outlook = $api.useQuery(
    "get",
    "/console/api/budgets/ledgers/{owner}/outlook",
    { params: { path: { owner }, query: { epsilon: asked } } },
    { placeholderData: keepPreviousData },
  );
  return (
    <>
      <p>
        The budget does not run out: every UTC day has its own ρ = {rho(budget)}, and what a day has left is
        not carried over. What grows is ε of a client that takes part every day.
      </p>
      <div className="span-fields">
        <TextField
          label="ε that is not to be exceeded"
          value={limit}
          error={error}
          onChange={(text) => {
            setLimit(text);
            if (text.trim() !== "" && limitError(text) === undefined) {
              setAsked(Number(text));
            }
          }}
        />
      </div>
      <Loaded query={outlook} label="how long the budget lasts">
        {(found) => <Answer found={found} budget={budget} />}
      </Loaded>
    </>
  );
}

function Answer({ found, budget }: { found: Found; budget: number }) {
  const enough = found.daily_micro_rho <= budget;
  return (
    <>
      <ul>
        <li>If every day's budget is spent: {lastingText(found.spent)}</li>
        {found.worst !== null && (
          <li>If every day costs as much as the worst one so far: {lastingText(found.worst)}</li>
        )}
        {found.today.length > 0 && (
          <li>
            All registered views together cost ρ = {rho(found.daily_micro_rho)} a day, which the budget of a
            day {enough ? "pays for" : "does not pay for"}.
          </li>
        )}
      </ul>
      {found.today.length > 0 && (
        <Table
          caption="What today's budget still pays for"
          rows={found.today}
          rowKey={(one) => one.view}
          columns={[
            { key: "view", title: "View", cell: (one) => one.view, order: (one) => one.view },
            {
              key: "cost",
              title: "ρ of a day",
              numeric: true,
              cell: (one) => rho(one.micro_rho),
              order: (one) => one.micro_rho,
            },
            {
              key: "fits",
              title: `Today (${rho(found.today_left)} left)`,
              cell: (one) => (
                <Badge tone={one.fits ? "good" : "warn"}>
                  {one.paid ? "paid" : one.fits ? "can be collected" : "not enough"}
                </Badge>
              ),
            },
          ]}
        />
      )}
      <Command>{found.command}</Command>
    </>
  );
}
