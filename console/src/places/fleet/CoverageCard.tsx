import { useState } from "react";
import { $api } from "../../api/client";
import { Card } from "../../design/Card";
import { Empty } from "../../design/Empty";
import { Select } from "../../design/Field";
import { count, moment } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { NoView } from "./NoView";
import { CELLS, siteRows } from "./state";
import type { Coverage } from "./types";
import { useRefetchOn } from "./useFleet";

const PANES = ["14", "30", "60", "120", "400"] as const;
const MOST_SITES = 200;

/** Which sites are in the newest panes of a view, as a matrix whose cells also have words. */
export function CoverageCard({ views, newest }: { views: readonly string[]; newest: number | undefined }) {
  const [chosen, setChosen] = useState<string>();
  const [panes, setPanes] = useState<string>("30");
  const view = chosen !== undefined && views.includes(chosen) ? chosen : views[0];
  const query = $api.useQuery(
    "get",
    "/console/api/fleet/coverage",
    { params: { query: { view: view ?? "", panes: Number(panes) } } },
    { enabled: view !== undefined },
  );
  useRefetchOn(newest, query.refetch);
  return (
    <Card
      title="Coverage of panes by site"
      tools={
        view !== undefined && (
          <div className="page-tools">
            <Select label="View" value={view} options={views.map((one) => [one, one])} onChange={setChosen} />
            <Select
              label="Newest panes"
              value={panes}
              options={PANES.map((one) => [one, one])}
              onChange={setPanes}
            />
          </div>
        )
      }
    >
      {view === undefined ? (
        <NoView />
      ) : (
        <Loaded query={query} label="the coverage">
          {(found) => <Matrix coverage={found} />}
        </Loaded>
      )}
    </Card>
  );
}

function Matrix({ coverage }: { coverage: Coverage }) {
  const rows = siteRows(coverage);
  if (rows.every((row) => row.enrolled === 0)) {
    return (
      <Empty>
        {coverage.shown.length === 0
          ? "No pane is published yet."
          : "No aggregator counted sites in these panes: one process played all roles, or the panes are void by a decision."}
      </Empty>
    );
  }
  const shown = rows.slice(0, MOST_SITES);
  return (
    <>
      <p className="fleet-note">
        ● counted, × missing, – not enrolled then, ? not known. The {count(coverage.shown.length)} newest of{" "}
        {count(coverage.panes)} panes, the oldest on the left; the least complete sites first
        {shown.length < rows.length && `, ${count(shown.length)} of ${count(rows.length)}`}.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className="table-scroll fleet-matrix" tabIndex={0} aria-label="Coverage of panes by site">
        <table className="table">
          <caption className="visually-hidden">Sites in the newest panes of {coverage.view}</caption>
          <thead>
            <tr>
              <th scope="col">Site</th>
              <th scope="col">In panes</th>
              {coverage.shown.map((pane) => (
                <th
                  key={pane.start}
                  scope="col"
                  className="fleet-pane"
                  title={`${moment(pane.start)}: ${pane.state}`}
                >
                  <span className="visually-hidden">{moment(pane.start)}</span>
                  <span aria-hidden="true">{moment(pane.start).slice(5)}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.site}>
                <th scope="row">{row.site}</th>
                <td>
                  {count(row.counted)} of {count(row.enrolled)}
                </td>
                {row.cells.map((cell, index) => (
                  <td
                    key={coverage.shown[index]?.start}
                    className={`fleet-cell fleet-cell-${cell.split(" ")[0]}`}
                  >
                    <span aria-hidden="true">{CELLS[cell] ?? "?"}</span>
                    <span className="visually-hidden">{cell}</span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}
