import { Badge, type Tone } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { count, moment } from "../../design/format";
import { Table } from "../../design/Table";
import { PartProblem } from "./PartProblem";
import type { FleetState, Role } from "./types";

const TONES: Readonly<Record<string, Tone>> = {
  ready: "good",
  running: "warn",
  restarting: "bad",
  done: "good",
  ended: "bad",
};

/** The roles that run here, and what each waits for. */
export function RolesCard({ state }: { state: FleetState }) {
  const { since, roles, problem } = state.roles;
  const failing = roles.find((role) => role.failing);
  return (
    <Card title="Services">
      <PartProblem problem={problem} />
      {since === null ? (
        problem === null && (
          <Empty>
            No role runs under <code>covey up</code> here. Roles that were started one by one show their own
            state on their monitors.
          </Empty>
        )
      ) : (
        <>
          <p>
            Started by <code>covey up</code> at {moment(since)} UTC.
          </p>
          <Table caption="Services" columns={COLUMNS} rows={roles} rowKey={(row) => row.name} />
          {failing !== undefined && (
            <Command about={`${failing.name} keeps dying; its log says why`}>{failing.log_command}</Command>
          )}
        </>
      )}
    </Card>
  );
}

const COLUMNS = [
  { key: "name", title: "Role", cell: (row: Role) => row.name, order: (row: Role) => row.name },
  {
    key: "state",
    title: "State",
    cell: (row: Role) => (
      <Badge tone={row.failing ? "bad" : (TONES[row.state] ?? "plain")}>{row.state}</Badge>
    ),
    order: (row: Role) => row.state,
  },
  {
    key: "since",
    title: "Since (UTC)",
    cell: (row: Role) => moment(row.since),
    order: (row: Role) => row.since,
  },
  { key: "restarts", title: "Restarts", cell: (row: Role) => count(row.restarts), numeric: true },
  {
    key: "waits",
    title: "Waits for",
    cell: (row: Role) => <span className="wrapped">{row.waits_for ?? row.why ?? "–"}</span>,
  },
  { key: "address", title: "Address", cell: (row: Role) => row.address ?? "–" },
];
