import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { hrefOf, useRoute } from "../../app/routes";
import { useMay } from "../../app/session";
import { Badge } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Facts } from "../../design/Facts";
import { count, instant, moment, number, rho } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { Claims } from "../budgets/Claims";
import { Retraction } from "./Retraction";
import { StateBadge } from "./StateBadge";
import { VerificationCard } from "./VerificationCard";

type Detail = components["schemas"]["ReleaseDetail"];

/** One release: its terms, its noise and price, its hashes, and whether it follows from what was signed. */
export function ReleaseDetail({ id }: { id: string }) {
  const { query } = useRoute();
  const operator = useMay("operator");
  const detail = $api.useQuery("get", "/console/api/releases/{release_id}", {
    params: { path: { release_id: id } },
  });
  return (
    <>
      <p>
        <a href={hrefOf("releases", [], Object.fromEntries(query))}>All releases</a>
      </p>
      <Loaded query={detail} label="the release">
        {(found) => (
          <>
            <Card
              title={`${found.release.view}@v${found.release.version}, ${moment(found.release.pane_start)}`}
              tools={operator && found.release.state === "opened" ? <Retraction id={id} /> : undefined}
            >
              <Facts facts={termsOf(found)} />
              <Command>{found.command}</Command>
            </Card>
            <VerificationCard id={id} />
            <Card title="Noise and price">
              <Noise found={found} />
            </Card>
            <Card title="Hashes">
              <Facts facts={hashesOf(found)} />
            </Card>
          </>
        )}
      </Loaded>
    </>
  );
}

function termsOf(found: Detail): (readonly [string, React.ReactNode])[] {
  const { release, sites } = found;
  return [
    ["Pane", `${moment(release.pane_start)} … ${moment(release.pane_end)}`],
    ["State", <StateBadge key="state" state={release.state} />],
    ...(release.reason === null ? [] : [["Reason", release.reason] as const]),
    ["Released", `${instant(release.released_at)} (${release.clock})`],
    ["Published", instant(release.published_at)],
    ...(release.retracted_at === null ? [] : [["Retracted", instant(release.retracted_at)] as const]),
    ["Trust", release.trust],
    ["Protection", `${found.protection}, validity ${found.validity}, finish ${found.finish}`],
    ["Participation", `${found.participation}; a report is of one ${found.report_per}`],
    [
      "Smallest number of clients",
      `${count(found.min_clients)}, checked by ${found.k_checked_by === "both" ? "both aggregators" : "the leader"}`,
    ],
    ["Outside the claim", found.outside_claim.length === 0 ? "nothing" : found.outside_claim.join(", ")],
    ...(sites === null
      ? []
      : [
          [
            "Sites",
            `${count(sites.counted)} of ${count(sites.enrolled)}, with ${number(100 * sites.share, 3)} % of the enrolled clients` +
              (sites.missing.length > 0 ? `; missing: ${sites.missing.join(", ")}` : ""),
          ] as const,
        ]),
  ];
}

function Noise({ found }: { found: Detail }) {
  return (
    <>
      <Facts
        facts={[
          ["Noise", `${found.release.noise}, ${count(found.noisers)} independent noises in each sum`],
          [
            "Split",
            found.noise_split === "each" ? "each aggregator adds all of it" : "each aggregator adds half",
          ],
          ["Sampler", found.noise_source],
          ["Price of a client-day", `ρ = ${rho(found.release.micro_rho)} against an aggregator`],
          ...(found.leak_micro_rho > 0
            ? [["Of it by the key holder's view", `ρ = ${rho(found.leak_micro_rho)}`] as const]
            : []),
        ]}
      />
      {found.claims.length === 0 ? (
        <p>
          <Badge tone="bad">no noise</Badge> No ε holds for this release.
        </p>
      ) : (
        <Claims caption="Privacy loss" delta={found.delta} rows={[["such releases", found.claims]]} />
      )}
      <Table
        caption="Noise groups"
        rows={found.groups}
        rowKey={(group) => `${group.feature} ${group.kind}`}
        columns={[
          { key: "feature", title: "Feature", cell: (group) => group.feature },
          { key: "kind", title: "Sums", cell: (group) => group.kind.replaceAll("_", " ") },
          { key: "mechanism", title: "Mechanism", cell: (group) => group.mechanism },
          { key: "rho", title: "ρ", numeric: true, cell: (group) => rho(group.micro_rho) },
          { key: "scale", title: "Scale of one noise", numeric: true, cell: (group) => number(group.scale) },
          {
            key: "se",
            title: "Standard error of a sum",
            numeric: true,
            cell: (group) => number(group.standard_error),
          },
        ]}
      />
    </>
  );
}

function hashesOf(found: Detail): (readonly [string, React.ReactNode])[] {
  const { hashes } = found;
  const code = (text: string) => (text === "" ? "–" : <code key={text}>{text}</code>);
  return [
    ["Release", code(found.release.release_id)],
    [
      "Plan",
      <a key="plan" href={hrefOf("releases", [], { text: hashes.plan })} title="All panes of this plan">
        {code(hashes.plan)}
      </a>,
    ],
    ["Definition of the view", code(hashes.definition)],
    ["Content", code(hashes.content)],
    ["Statement of the leader", code(hashes.leader_statement)],
    ["Statement of the helper", code(hashes.helper_statement)],
    ...hashes.opened.map((digest, index) => [`Opened values ${index + 1}`, code(digest)] as const),
    ["Signature of the collector", code(hashes.signature)],
  ];
}
