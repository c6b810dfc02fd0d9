import { Badge } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Empty } from "../../design/Empty";
import { count, moment } from "../../design/format";
import { Table } from "../../design/Table";
import { inline } from "../../design/text";
import { PartProblem } from "./PartProblem";
import { counts, times } from "./state";
import type { FleetState, Site } from "./types";

/** The sites of the project: when each was last seen, what it answered, and what it refused. */
export function SitesCard({ state }: { state: FleetState }) {
  const { sites, problem } = state.sites;
  return (
    <Card title="Sites">
      <PartProblem problem={problem} />
      {sites.length === 0 ? (
        problem === null && (
          <Empty>
            {state.project === null
              ? "A store alone does not know its sites. Start the console with --project DIR to see them."
              : "The project has no sites yet. covey.toml lists them."}
          </Empty>
        )
      ) : (
        <>
          <Table caption="Sites" columns={COLUMNS} rows={sites} rowKey={(row) => row.site} />
          <Refusals sites={sites} />
        </>
      )}
    </Card>
  );
}

const COLUMNS = [
  { key: "site", title: "Site", cell: (row: Site) => row.site, order: (row: Site) => row.site },
  {
    key: "seen",
    title: "Last seen (UTC)",
    cell: (row: Site) => moment(row.seen),
    order: (row: Site) => row.seen,
  },
  {
    key: "last",
    title: "Last plan",
    cell: (row: Site) =>
      row.last_answer === null ? (
        "–"
      ) : (
        <Badge tone={row.last_answer === "answered" ? "good" : "warn"}>{row.last_answer}</Badge>
      ),
    order: (row: Site) => row.last_answer,
  },
  { key: "answers", title: "Last plans", cell: (row: Site) => counts(row.answers) },
  {
    key: "refusals",
    title: "Refusals",
    cell: (row: Site) => count(row.refusals.reduce((sum, one) => sum + one.count, 0)),
    order: (row: Site) => row.refusals.reduce((sum, one) => sum + one.count, 0),
    numeric: true,
  },
  {
    key: "ledger",
    title: "Ledger",
    cell: (row: Site) =>
      row.ledger === "broken" ? (
        <Badge tone="bad">broken</Badge>
      ) : row.ledger === "whole" ? (
        "whole"
      ) : (
        "elsewhere"
      ),
    order: (row: Site) => row.ledger,
  },
  {
    key: "clients",
    title: "Clients at most",
    cell: (row: Site) => (row.max_clients === null ? "not on the roster" : count(row.max_clients)),
    order: (row: Site) => row.max_clients,
    numeric: true,
  },
];

/** Each refusal with its sentence, and what changes the answer. */
function Refusals({ sites }: { sites: readonly Site[] }) {
  const rows = sites.flatMap((site) => site.refusals.map((refusal) => ({ site: site.site, ...refusal })));
  const broken = sites.filter((site) => site.ledger_problem !== null);
  return (
    <>
      {broken.map((site) => (
        <PartProblem key={site.site} problem={`Site ${site.site}: ${site.ledger_problem}`} />
      ))}
      {rows.length > 0 && (
        <>
          <h3>Refusals by code</h3>
          <ul className="fleet-refusals">
            {rows.map((row) => (
              <li key={`${row.site} ${row.code}`}>
                <strong>Site {row.site}</strong> <code>{row.code}</code>, {times(row.count)}, last{" "}
                {moment(row.last)}. {row.sentence} <span className="fleet-note">{inline(row.mend)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
