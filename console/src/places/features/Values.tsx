import { useMemo } from "react";
import { $api } from "../../api/client";
import { asProblem } from "../../api/problem";
import { hrefOf } from "../../app/routes";
import { Chart } from "../../design/Chart";
import { Empty } from "../../design/Empty";
import { count, counted, moment, number } from "../../design/format";
import { Problem } from "../../design/Problem";
import { Spinner } from "../../design/Progress";
import { type Column, Table } from "../../design/Table";
import { inline } from "../../design/text";
import { FeatureChoice } from "./FeatureChoice";
import { KeyChoice, OFFERED } from "./KeyChoice";
import { RangeChoice } from "./RangeChoice";
import { gapsOf, linesOf, type Row, rowsOf, type Shown, statusCounts } from "./series";
import { MOST_LINES } from "./state";
import type { TabProps } from "./tab";
import { useSeries } from "./useSeries";

/** Values with their error bands over time: some keys of some features, and the same numbers as a table. */
export function Values({ view, state, change }: TabProps) {
  const { data: domain } = $api.useQuery("get", "/console/api/features/{view}/keys", {
    params: { path: { view: state.view }, query: { text: "", most: OFFERED } },
  });
  const features = state.features.length > 0 ? state.features : [view.features[0]?.name ?? ""];
  const keys = view.constant ? [] : state.keys.length > 0 ? state.keys : (domain?.keys ?? []).slice(0, 1);
  const { shown, error, reading, refetch } = useSeries(view, state, features, keys);
  const lines = useMemo(() => linesOf(shown, view.constant), [shown, view.constant]);
  const gaps = useMemo(() => gapsOf(shown), [shown]);
  const perFeature = view.constant ? 1 : Math.max(1, keys.length);
  return (
    <div className="features-values">
      <div className="features-choices">
        <FeatureChoice
          view={view}
          features={features}
          cell={state.cell}
          free={Math.floor(MOST_LINES / perFeature) - features.length}
          onChange={(chosen) => change({ features: chosen })}
          onCell={(cell) => change({ cell })}
        />
        {!view.constant && (
          <KeyChoice
            view={state.view}
            keys={keys}
            free={Math.floor(MOST_LINES / features.length) - keys.length}
            onChange={(chosen) => change({ keys: chosen })}
          />
        )}
        <RangeChoice view={view} state={state} change={change} />
      </div>
      {error ? <Problem problem={asProblem(error)} onRetry={refetch} /> : null}
      {view.newest_end === null || view.first_start === null ? (
        <Empty>
          {inline("No pane of this view is published yet. `covey run` or a collection publishes them.")}
        </Empty>
      ) : shown.length === 0 ? (
        !error && <Spinner label="Reading values" />
      ) : (
        <div aria-busy={reading} className="features-shown">
          <Notes shown={shown} />
          <Chart
            label={`${features.join(", ")} over time`}
            lines={lines}
            gaps={gaps}
            statuses={shown[0]?.data.statuses}
            range={
              state.from === undefined && state.to === undefined
                ? undefined
                : [state.from ?? view.first_start, state.to ?? view.newest_end]
            }
            whole={[view.first_start, view.newest_end]}
            onRange={(range) => change({ from: range?.[0], to: range?.[1] })}
          />
          <Rows rows={rowsOf(shown)} />
        </div>
      )}
    </div>
  );
}

/** What a reader of the chart should know: how many values are not usable, and whether panes are left out. */
function Notes({ shown }: { shown: readonly Shown[] }) {
  const thin = shown.find((one) => one.data.every > 1)?.data;
  const total = shown.reduce((sum, one) => sum + one.data.keys.length * one.data.moments.length, 0);
  const counts = statusCounts(shown);
  return (
    <p className="features-notes">
      {counted(total, "value")}
      {counts.map(([status, times]) => `, ${count(times)} ${status}`).join("")}.
      {thin !== undefined &&
        ` One of every ${count(thin.every)} panes is shown, because there are ${count(thin.panes)}; zoom in to see every pane.`}
      {shown.some((one) => one.data.more_gaps) && " Only the first voids of this time are shaded."}
    </p>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { key: "moment", title: "Pane (UTC)", order: (one) => one.moment, cell: (one) => moment(one.moment) },
  { key: "key", title: "Key", order: (one) => one.key, cell: (one) => one.key },
  { key: "feature", title: "Feature", order: (one) => one.feature, cell: (one) => one.feature },
  {
    key: "value",
    title: "Value",
    numeric: true,
    order: (one) => one.value,
    cell: (one) => number(one.value),
  },
  {
    key: "se",
    title: "Standard error",
    numeric: true,
    order: (one) => one.se,
    cell: (one) => number(one.se),
  },
  {
    key: "interval",
    title: "95 % interval",
    numeric: true,
    order: (one) => one.low,
    cell: (one) => (one.low === null ? "–" : `${number(one.low)} to ${number(one.high)}`),
  },
  { key: "n", title: "n", numeric: true, order: (one) => one.n, cell: (one) => number(one.n, 6) },
  { key: "status", title: "Status", order: (one) => one.status, cell: (one) => one.status },
  { key: "reason", title: "Void because", order: (one) => one.reason, cell: (one) => one.reason },
  {
    key: "release",
    title: "Release",
    cell: (one) => <a href={hrefOf("releases", [one.release])}>{one.release.slice(0, 8)}</a>,
  },
];

function Rows({ rows }: { rows: readonly Row[] }) {
  return <Table caption="Values" columns={COLUMNS} rows={rows} rowKey={(one) => one.id} maxHeight="24rem" />;
}
