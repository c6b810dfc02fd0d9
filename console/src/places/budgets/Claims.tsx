import type { components } from "../../api/schema";
import { epsilon } from "../../design/format";
import { Table } from "../../design/Table";

type Claim = components["schemas"]["DaysEpsilon"];

interface ClaimsProps {
  caption: string;
  /** (what the claims are about, the claims) of each row. */
  rows: readonly (readonly [string, readonly Claim[]])[];
  delta: number;
}

/** ε after some numbers of days, against those who see releases only and against one of the aggregators. */
export function Claims({ caption, rows, delta }: ClaimsProps) {
  const spans = rows[0]?.[1] ?? [];
  const pure = rows.some(([, claims]) => claims.some((claim) => claim.pure !== null));
  const lines = rows.flatMap(([about, claims]) => [
    { about, against: "against outsiders", values: claims.map((claim) => claim.outsiders) },
    { about, against: "against an aggregator", values: claims.map((claim) => claim.aggregator) },
    ...(pure
      ? [{ about, against: "against all, without δ", values: claims.map((claim) => claim.pure) }]
      : []),
  ]);
  return (
    <div className="claims">
      <Table
        caption={caption}
        rows={lines}
        rowKey={(line) => `${line.about} ${line.against}`}
        columns={[
          {
            key: "about",
            title: `ε at δ = ${delta.toExponential()}`,
            cell: (line) => <span className="wrapped-name">{`${line.about}, ${line.against}`}</span>,
          },
          ...spans.map((span, index) => ({
            key: `${span.days}`,
            title: span.days === 1 ? "1 day" : `${span.days} days`,
            numeric: true,
            cell: (line: { values: readonly (number | null)[] }) => claimed(line.values[index]),
          })),
        ]}
      />
    </div>
  );
}

/** An ε, or a dash where none holds. */
export function claimed(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : epsilon(value);
}
