import { useState } from "react";
import { $api } from "../../api/client";
import { Card } from "../../design/Card";
import { Command } from "../../design/Command";
import { Checkbox } from "../../design/Field";
import { Loaded } from "../../design/Loaded";
import { RangeChoice } from "./RangeChoice";
import { partsOf, type ViewState } from "./state";
import type { TabProps } from "./tab";
import { isList } from "./useSeries";

/** The same values as a file, from a command, or in a notebook. */
export function Elsewhere({ view, state, change }: TabProps) {
  const [onlyChosen, setOnlyChosen] = useState(state.keys.length > 0);
  const { name, version } = partsOf(state.features[0] ?? view.features[0]?.name ?? "");
  const path = { view: version === undefined ? state.view : `${view.name}@${version}` };
  const query = $api.useQuery("get", "/console/api/features/{view}/usage", {
    params: {
      path,
      query: {
        feature: name,
        key: view.constant ? [] : [...state.keys],
        cell: isList(view, name) ? state.cell : 0,
        ...(state.from === undefined ? {} : { from: state.from }),
        ...(state.to === undefined ? {} : { to: state.to }),
      },
    },
  });
  const keys = onlyChosen ? state.keys : [];
  return (
    <div className="features-values">
      <div className="features-choices">
        <RangeChoice view={view} state={state} change={change} />
      </div>
      <Card title="Download the rows">
        <p>Every row has all features of the view with their standard errors, 95 % intervals and statuses.</p>
        {state.keys.length > 0 && (
          <Checkbox
            label={`Only the chosen keys: ${state.keys.join(", ")}`}
            checked={onlyChosen}
            onChange={setOnlyChosen}
          />
        )}
        <p className="features-downloads">
          <a className="button" href={exportHref(path.view, "csv", state, keys)} download>
            CSV
          </a>
          <a className="button" href={exportHref(path.view, "parquet", state, keys)} download>
            Parquet
          </a>
        </p>
        <p className="field-hint">
          In the CSV file, a text that a spreadsheet would compute as a formula has an apostrophe before it.
          The Parquet file has every text as it is.
        </p>
      </Card>
      <Loaded query={query} label="commands">
        {(usage) => (
          <Card title="Commands and notebook">
            <Command about="All rows into a file">{usage.history}</Command>
            {usage.get !== null && <Command about="The newest values">{usage.get}</Command>}
            <Command about="A cell of a notebook that draws the chosen keys">{usage.notebook}</Command>
          </Card>
        )}
      </Loaded>
    </div>
  );
}

function exportHref(
  view: string,
  format: "csv" | "parquet",
  state: ViewState,
  keys: readonly string[],
): string {
  const query = new URLSearchParams({ format });
  for (const key of keys) {
    query.append("key", key);
  }
  if (state.from !== undefined) {
    query.set("from", String(state.from));
  }
  if (state.to !== undefined) {
    query.set("to", String(state.to));
  }
  return `/console/api/features/${encodeURIComponent(view)}/export?${query}`;
}
