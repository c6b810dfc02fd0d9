import { keepPreviousData } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { $api } from "../../api/client";
import { Button } from "../../design/Button";
import { Select } from "../../design/Field";
import { count, counted, moment, number } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { type Column, Table } from "../../design/Table";
import { FeatureChoice } from "./FeatureChoice";
import { type Cell, HeatCanvas } from "./HeatCanvas";
import { HeatKey } from "./HeatKey";
import { type HeatMap, type KeySummary, type Mode, type Order, ordered, scaleOf, summaries } from "./heat";
import { RangeChoice } from "./RangeChoice";
import { hrefOfState, partsOf } from "./state";
import type { TabProps } from "./tab";
import { isList } from "./useSeries";

const AT_ONCE = 200;

/** One feature of all keys at once: a heat map, and a table of the same keys. */
export function AllKeys({ view, state, change }: TabProps) {
  const [first, setFirst] = useState(0);
  const feature = state.features[0] ?? view.features[0]?.name ?? "";
  const { name, version } = partsOf(feature);
  const query = $api.useQuery(
    "get",
    "/console/api/features/{view}/heat",
    {
      params: {
        path: { view: version === undefined ? state.view : `${view.name}@${version}` },
        query: {
          feature: name,
          first,
          keys: AT_ONCE,
          cell: isList(view, name) ? state.cell : 0,
          ...(state.from === undefined ? {} : { from: state.from }),
          ...(state.to === undefined ? {} : { to: state.to }),
        },
      },
    },
    { placeholderData: keepPreviousData },
  );
  return (
    <div className="features-values">
      <div className="features-choices">
        <FeatureChoice
          view={view}
          features={[feature]}
          cell={state.cell}
          free={undefined}
          onChange={(features) => change({ features })}
          onCell={(cell) => change({ cell })}
        />
        <RangeChoice view={view} state={state} change={change} />
      </div>
      <Loaded query={query} label="all keys">
        {(map) => (
          <>
            {map.total > AT_ONCE && (
              <div className="features-pages">
                <Button disabled={first === 0} onClick={() => setFirst(Math.max(0, first - AT_ONCE))}>
                  Earlier keys
                </Button>
                <span>
                  Keys {count(map.first + 1)} to {count(map.first + map.keys.length)} of {count(map.total)}
                </span>
                <Button
                  disabled={map.first + map.keys.length >= map.total}
                  onClick={() => setFirst(first + AT_ONCE)}
                >
                  Later keys
                </Button>
              </div>
            )}
            <Heat
              map={map}
              hrefOf={(key) => hrefOfState({ ...state, tab: "values", keys: [key] })}
              onOpen={(key) => change({ tab: "values", keys: [key] })}
            />
          </>
        )}
      </Loaded>
    </div>
  );
}

interface HeatProps {
  map: HeatMap;
  hrefOf: (key: string) => string;
  onOpen: (key: string) => void;
}

function Heat({ map, hrefOf, onOpen }: HeatProps) {
  const [mode, setMode] = useState<Mode>("value");
  const [by, setBy] = useState<Order>("key");
  const [cell, setCell] = useState<Cell | undefined>();
  const found = useMemo(() => summaries(map), [map]);
  const order = useMemo(() => ordered(found, by), [found, by]);
  const scale = useMemo(() => scaleOf(mode === "se" ? map.se : map.value), [map, mode]);
  return (
    <>
      <div className="features-choice">
        <Select
          label="Show"
          value={mode}
          options={[
            ["value", "Values, pale where uncertain"],
            ["se", "Standard errors"],
            ["status", "Statuses"],
          ]}
          onChange={(value) => setMode(value as Mode)}
        />
        <Select
          label="Order of the keys"
          value={by}
          options={[
            ["key", "By key"],
            ["newest", "By newest value"],
            ["known", "By number of values"],
          ]}
          onChange={(value) => setBy(value as Order)}
        />
      </div>
      {map.every > 1 && (
        <p className="features-notes">
          One of every {count(map.every)} panes is shown, because there are {count(map.panes)}. Choose a
          shorter time to see every pane.
        </p>
      )}
      <HeatKey map={map} mode={mode} scale={scale} cell={cell} />
      <HeatCanvas
        map={map}
        mode={mode}
        scale={scale}
        order={order}
        label={`${map.feature} of ${counted(map.keys.length, "key")} over time`}
        chosen={cell}
        onCell={setCell}
        onOpen={(one) => onOpen(map.keys[one.key] ?? "")}
      />
      <Summaries found={found} panes={map.moments.length} hrefOf={hrefOf} />
    </>
  );
}

function Summaries({
  found,
  panes,
  hrefOf,
}: {
  found: readonly KeySummary[];
  panes: number;
  hrefOf: (key: string) => string;
}) {
  const columns: Column<KeySummary>[] = [
    {
      key: "key",
      title: "Key",
      order: (one) => one.key,
      cell: (one) => <a href={hrefOf(one.key)}>{one.key}</a>,
    },
    {
      key: "known",
      title: "Panes with a value",
      numeric: true,
      order: (one) => one.known,
      cell: (one) => `${count(one.known)} of ${count(panes)}`,
    },
    {
      key: "newest",
      title: "Newest value",
      numeric: true,
      order: (one) => one.newest,
      cell: (one) => number(one.newest),
    },
    {
      key: "se",
      title: "Its standard error",
      numeric: true,
      order: (one) => one.newestSe,
      cell: (one) => number(one.newestSe),
    },
    {
      key: "moment",
      title: "Its pane (UTC)",
      order: (one) => one.newestMoment,
      cell: (one) => moment(one.newestMoment),
    },
    {
      key: "least",
      title: "Least",
      numeric: true,
      order: (one) => one.least,
      cell: (one) => number(one.least),
    },
    {
      key: "greatest",
      title: "Greatest",
      numeric: true,
      order: (one) => one.greatest,
      cell: (one) => number(one.greatest),
    },
  ];
  return <Table caption="Keys" columns={columns} rows={found} rowKey={(one) => one.key} maxHeight="24rem" />;
}
