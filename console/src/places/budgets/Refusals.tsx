import { $api } from "../../api/client";
import { count, moment } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";

/** What a ledger has refused, and why. */
export function Refusals({ owner }: { owner: string }) {
  const refusals = $api.useQuery("get", "/console/api/budgets/ledgers/{owner}/refusals", {
    params: { path: { owner } },
  });
  return (
    <Loaded query={refusals} label="refusals">
      {(found) =>
        found.refusals.length === 0 ? (
          <p>Nothing was refused.</p>
        ) : (
          <>
            <Table
              caption="Refusals"
              rows={found.refusals}
              rowKey={(one) => `${one.role} ${one.code} ${one.view}`}
              columns={[
                {
                  key: "code",
                  title: "Code",
                  cell: (one) => <code>{one.code}</code>,
                  order: (one) => one.code,
                },
                {
                  key: "sentence",
                  title: "Why",
                  cell: (one) => <span className="wrapped">{one.sentence}</span>,
                },
                {
                  key: "view",
                  title: "View",
                  cell: (one) => one.view ?? "the whole plan",
                  order: (one) => one.view,
                },
                { key: "role", title: "By", cell: (one) => one.role ?? "–", order: (one) => one.role },
                {
                  key: "days",
                  title: "Days",
                  cell: (one) => <span className="wrapped">{spans(one.days)}</span>,
                },
                {
                  key: "plans",
                  title: "Plans",
                  numeric: true,
                  cell: (one) => count(one.plans),
                  order: (one) => one.plans,
                },
                {
                  key: "last",
                  title: "Last",
                  cell: (one) => moment(one.last_at),
                  order: (one) => one.last_at,
                },
              ]}
            />
            {found.more && (
              <p>
                These are the newest {count(found.refusals.length)} kinds of refusals. There are older ones.
              </p>
            )}
          </>
        )
      }
    </Loaded>
  );
}

function spans(days: readonly (readonly number[])[]): string {
  return (
    days
      .map(([first, last]) => (first === last ? moment(first) : `${moment(first)} … ${moment(last)}`))
      .join(", ") || "–"
  );
}
