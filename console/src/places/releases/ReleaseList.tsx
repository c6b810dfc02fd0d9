import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { hrefOf, navigate, useRoute } from "../../app/routes";
import { Button } from "../../design/Button";
import { Empty } from "../../design/Empty";
import { Select, TextField } from "../../design/Field";
import { count, counted, moment, rho } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Table } from "../../design/Table";
import { inline } from "../../design/text";
import { conditionsOf, type Filters, filtersOf, queryOf, STATES, textOf } from "./filters";
import { StateBadge } from "./StateBadge";

type Row = components["schemas"]["ReleaseRow"];
type Counts = components["schemas"]["ReleaseCounts"];

/** The list of all published panes, page by page, the newest first. */
export function ReleaseList() {
  const filters = filtersOf(useRoute().query);
  const counts = $api.useQuery("get", "/console/api/releases/counts");
  return (
    <>
      <Conditions filters={filters} counts={counts.data} />
      <Pages
        key={JSON.stringify(filters)}
        filters={filters}
        isFiltered={Object.keys(queryOf(filters)).length > 0}
      />
    </>
  );
}

function Conditions({ filters, counts }: { filters: Filters; counts: Counts | undefined }) {
  const change = (some: Partial<Filters>) =>
    navigate(hrefOf("releases", [], queryOf({ ...filters, ...some })), { replace: true });
  const views = counts?.views ?? [];
  const known = filters.view === "" || views.some((one) => one.view === filters.view);
  return (
    <div className="conditions">
      <Select
        label="View"
        value={filters.view}
        options={[
          [
            "",
            `All views (${counted(
              views.reduce((sum, one) => sum + panesOf(one), 0),
              "pane",
            )})`,
          ],
          ...(known ? [] : [[filters.view, filters.view] as const]),
          ...views.map((one) => [one.view, `${one.view} (${count(panesOf(one))})`] as const),
        ]}
        onChange={(view) => change({ view })}
      />
      <Select
        label="State"
        value={filters.state}
        options={[["", "Any state"], ...STATES.map((state) => [state, state] as const)]}
        onChange={(state) => change({ state: STATES.find((one) => one === state) ?? "" })}
      />
      <Select
        label="Trust"
        value={filters.trust}
        options={[["", "Any trust"], ...(counts?.trusts ?? []).map((trust) => [trust, trust] as const)]}
        onChange={(trust) => change({ trust })}
      />
      <TextField
        label="From (UTC day)"
        type="date"
        value={filters.from}
        onChange={(from) => change({ from })}
      />
      <TextField label="To (UTC day)" type="date" value={filters.to} onChange={(to) => change({ to })} />
      <Search key={filters.text} text={filters.text} onSearch={(text) => change({ text })} />
    </div>
  );
}

/** Searches when the user has written the text: the server may have to read every pane. */
function Search({ text, onSearch }: { text: string; onSearch: (text: string) => void }) {
  const [typed, setTyped] = useState(text);
  return (
    <form
      className="condition-search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(textOf(typed));
      }}
    >
      <TextField
        label="Reason, release or plan"
        type="search"
        placeholder="text, or first digits"
        value={typed}
        onChange={(now) => {
          setTyped(now);
          if (now === "" && text !== "") {
            onSearch("");
          }
        }}
      />
      <Button type="submit">Find</Button>
    </form>
  );
}

function panesOf(one: Counts["views"][number]): number {
  return one.opened + one.void + one.retracted;
}

function Pages({ filters, isFiltered }: { filters: Filters; isFiltered: boolean }) {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const cursor = cursors.at(-1);
  const page = $api.useQuery(
    "get",
    "/console/api/releases",
    { params: { query: { ...conditionsOf(filters), ...(cursor === undefined ? {} : { cursor }) } } },
    { placeholderData: keepPreviousData },
  );
  return (
    <Loaded query={page} label="the releases">
      {(found) =>
        found.releases.length === 0 ? (
          <Empty>
            {isFiltered
              ? "No pane fits these conditions."
              : inline(
                  "Nothing is published yet. Run views in the composer, or with `covey run VIEWS.py --events FILE`.",
                )}
          </Empty>
        ) : (
          <>
            <ReleaseTable rows={found.releases} />
            {(cursors.length > 0 || found.next !== null) && (
              <nav className="pager" aria-label="Pages of releases">
                <Button disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
                  Newer
                </Button>
                <Button
                  disabled={found.next === null || page.isPlaceholderData}
                  onClick={() => found.next !== null && setCursors([...cursors, found.next])}
                >
                  Older
                </Button>
                <span>Page {count(cursors.length + 1)}</span>
              </nav>
            )}
          </>
        )
      }
    </Loaded>
  );
}

function ReleaseTable({ rows }: { rows: readonly Row[] }) {
  return (
    <Table
      caption="Releases"
      rows={rows}
      rowKey={(row) => row.release_id}
      maxHeight="none"
      columns={[
        {
          key: "id",
          title: "Release",
          cell: (row) => (
            <a href={hrefOf("releases", [row.release_id])} className="mono">
              {row.release_id.slice(0, 12)}
            </a>
          ),
        },
        {
          key: "view",
          title: "View",
          cell: (row) => `${row.view}@v${row.version}`,
          order: (row) => row.view,
        },
        { key: "pane", title: "Pane", cell: (row) => moment(row.pane_start), order: (row) => row.pane_start },
        {
          key: "state",
          title: "State",
          cell: (row) => <StateBadge state={row.state} />,
          order: (row) => row.state,
        },
        { key: "reason", title: "Reason", cell: (row) => <span className="short">{row.reason ?? "–"}</span> },
        {
          key: "released",
          title: "Released",
          cell: (row) => moment(row.released_at),
          order: (row) => row.released_at,
        },
        {
          key: "rho",
          title: "ρ of a day",
          numeric: true,
          cell: (row) => rho(row.micro_rho),
          order: (row) => row.micro_rho,
        },
        { key: "trust", title: "Trust", cell: (row) => row.trust, order: (row) => row.trust },
        {
          key: "signed",
          title: "Signed",
          cell: (row) => (row.signed ? "yes" : "no"),
          order: (row) => Number(row.signed),
        },
      ]}
    />
  );
}
