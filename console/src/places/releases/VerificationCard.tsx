import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge, type Tone } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";

type Found = components["schemas"]["Verification"];

const RESULTS: Readonly<Record<Found["result"], readonly [Tone, string]>> = {
  verified: [
    "good",
    "Every check passed: the release follows from its plan, and from what both aggregators signed.",
  ],
  failed: ["bad", "A check failed. Do not use this release."],
  unsigned: [
    "warn",
    "A run in one process made this release and signed nothing. Only its stored sums could be checked.",
  ],
  expired: ["warn", "The sums have left the store by the view's retention, so there is nothing to check."],
};
const TONES: Readonly<Record<Found["checks"][number]["state"], Tone>> = {
  passed: "good",
  failed: "bad",
  skipped: "plain",
  "not reached": "plain",
};

/** What the server found when it verified the release, with the same code as `covey release verify`. */
export function VerificationCard({ id }: { id: string }) {
  const verification = $api.useQuery("get", "/console/api/releases/{release_id}/verification", {
    params: { path: { release_id: id } },
  });
  return (
    <Card title="Signatures">
      <Loaded query={verification} label="the signatures">
        {(found) => (
          <>
            <p>
              <Badge tone={RESULTS[found.result][0]}>{found.result}</Badge> {RESULTS[found.result][1]}
            </p>
            {found.failed !== null && (
              <p className="failed-check">
                {found.failed}: {found.why}
              </p>
            )}
            <p>
              Checked with {found.keys}
              {found.key === null ? "" : `; signed by the key ${found.key}`}.
            </p>
            <details>
              <summary>What was checked</summary>
              <Table
                caption="Checks"
                rows={found.checks}
                rowKey={(check) => check.name}
                maxHeight="none"
                columns={[
                  { key: "name", title: "Check", cell: (check) => check.name },
                  {
                    key: "state",
                    title: "Result",
                    cell: (check) => <Badge tone={TONES[check.state]}>{check.state}</Badge>,
                  },
                  {
                    key: "what",
                    title: "What must hold",
                    cell: (check) => <span className="wrapped">{check.what}</span>,
                  },
                ]}
              />
            </details>
            <Command>{found.command}</Command>
          </>
        )}
      </Loaded>
    </Card>
  );
}
