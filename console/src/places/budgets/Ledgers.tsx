import { useState } from "react";
import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { hrefOf, useRoute } from "../../app/routes";
import { Alert } from "../../design/Alert";
import { Badge } from "../../design/Badge";
import { Button } from "../../design/Button";
import { Empty } from "../../design/Empty";
import { count, rho } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { inline } from "../../design/text";
import { claimed } from "./Claims";
import { LedgerCard } from "./LedgerCard";

type Ledger = components["schemas"]["Ledger"];

/** All ledgers, and the chosen one. A broken ledger is shown with its mend. */
export function Ledgers() {
  const chosen = useRoute().query.get("ledger");
  const [pages, setPages] = useState<readonly (string | undefined)[]>([undefined]);
  const after = pages.at(-1);
  const ledgers = $api.useQuery("get", "/console/api/budgets/ledgers", {
    params: { query: after === undefined ? {} : { after } },
  });
  return (
    <Loaded query={ledgers} label="the ledgers">
      {(found) => {
        const shown =
          found.ledgers.find((one) => one.owner === chosen) ?? found.ledgers.find((one) => one.state);
        if (found.ledgers.length === 0) {
          return (
            <Empty>
              {inline(
                "No ledger yet: no plan was charged or refused here. A run or a collection makes one: `covey run`.",
              )}
            </Empty>
          );
        }
        return (
          <>
            {found.ledgers.map((one) =>
              one.problem === null ? null : (
                <Broken key={one.owner} owner={one.owner} problem={one.problem} />
              ),
            )}
            <LedgerTable ledgers={found.ledgers} shown={shown?.owner} />
            {(pages.length > 1 || found.next !== null) && (
              <div className="pager">
                <Button disabled={pages.length === 1} onClick={() => setPages(pages.slice(0, -1))}>
                  Previous
                </Button>
                <Button
                  disabled={found.next === null}
                  onClick={() => setPages([...pages, found.next ?? undefined])}
                >
                  Next
                </Button>
              </div>
            )}
            {shown?.state && <LedgerCard key={shown.owner} owner={shown.owner} state={shown.state} />}
          </>
        );
      }}
    </Loaded>
  );
}

function Broken({ owner, problem }: { owner: string; problem: NonNullable<Ledger["problem"]> }) {
  return (
    <Alert mend={problem.mend} code={problem.code}>
      {`The ledger of ${owner} cannot be used: ${problem.detail}`}
    </Alert>
  );
}

function LedgerTable({ ledgers, shown }: { ledgers: readonly Ledger[]; shown: string | undefined }) {
  return (
    <Table
      caption="Ledgers"
      rows={ledgers}
      rowKey={(one) => one.owner}
      columns={[
        {
          key: "owner",
          title: "Ledger",
          order: (one) => one.owner,
          cell: (one) => (
            <a href={hrefOf("budgets", [], { ledger: one.owner })} aria-current={one.owner === shown}>
              {one.owner}
            </a>
          ),
        },
        {
          key: "state",
          title: "State",
          cell: (one) =>
            one.state === null ? <Badge tone="bad">broken</Badge> : <Badge tone="good">intact</Badge>,
        },
        {
          key: "budget",
          title: "Budget of a day",
          numeric: true,
          cell: (one) => (one.state === null ? "–" : rho(one.state.budget_micro_rho)),
          order: (one) => one.state?.budget_micro_rho ?? null,
        },
        {
          key: "left",
          title: "Left today",
          numeric: true,
          cell: (one) => (one.state === null ? "–" : rho(one.state.today_left)),
          order: (one) => one.state?.today_left ?? null,
        },
        {
          key: "days",
          title: "Days charged",
          numeric: true,
          cell: (one) => (one.state === null ? "–" : count(one.state.days_charged)),
          order: (one) => one.state?.days_charged ?? null,
        },
        {
          key: "worst",
          title: "Worst day, ε",
          numeric: true,
          cell: (one) => claimed(one.state?.spent_claims[0]?.aggregator),
          order: (one) => one.state?.spent_claims[0]?.aggregator ?? null,
        },
        {
          key: "refusals",
          title: "Refusals",
          numeric: true,
          cell: (one) => (one.state === null ? "–" : count(one.state.refusals)),
          order: (one) => one.state?.refusals ?? null,
        },
      ]}
    />
  );
}
