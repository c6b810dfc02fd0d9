import { keepPreviousData } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { $api } from "../../../api/client";
import { asProblem } from "../../../api/problem";
import type { components } from "../../../api/schema";
import { Empty } from "../../../design/Empty";
import { Problem } from "../../../design/Problem";
import { Spinner } from "../../../design/Progress";
import { type GraphNode, titleOf } from "../graph/graph";
import { useComposer } from "../state/context";
import { KnobSlider } from "./KnobSlider";
import { Knobs } from "./Knobs";
import { Price } from "./Price";
import { CLIENTS } from "./scale";
import { shownView } from "./shownView";
import { useSettled } from "./useSettled";
import { ViewErrors } from "./ViewErrors";
import { SETTLE_MS, useWritten } from "./written";

type Label = components["schemas"]["Label"];
type Found = components["schemas"]["GraphProblem"];

/** The privacy label of what is composed, for a fleet of a stated size. */
export function LabelPanel() {
  const { editing, dispatch } = useComposer();
  const written = useWritten();
  const [clients, setClients] = useState(1_000);
  const settled = useSettled(clients, SETTLE_MS);
  const body = useMemo(() => ({ text: written.text, clients: [settled] }), [written.text, settled]);
  const query = $api.useQuery(
    "post",
    "/console/api/composer/explain",
    { body },
    {
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
      retry: false,
      placeholderData: keepPreviousData,
    },
  );
  const { data, error, isPlaceholderData } = query;
  const view = shownView(editing);
  const isLate = written.isLate || isPlaceholderData || clients !== settled;
  const found = data?.problems;
  useEffect(() => {
    if (found !== undefined && !isLate) {
      dispatch({ type: "problems", origin: "label", problems: renamed(found, written.ids) });
    }
  }, [found, isLate, dispatch, written.ids]);
  if (error && data === undefined) {
    return <Problem problem={asProblem(error)} />;
  }
  if (data === undefined) {
    return <Spinner label="Pricing the views" />;
  }
  return (
    <div className="label" aria-busy={isLate}>
      {error !== null && <Problem problem={asProblem(error)} />}
      {data.total === null ? (
        <Empty>
          No view has a price yet. Place a view, give it an entity and a feature, and its price appears.
        </Empty>
      ) : (
        <Price label={data} />
      )}
      {data.problems.length > 0 && <Problems problems={data.problems} />}
      {view !== undefined && <ViewPart view={view} label={data} clients={clients} onClients={setClients} />}
    </div>
  );
}

/** Problems of the written text, with the ids of the edited graph. */
function renamed(problems: readonly Found[], ids: Readonly<Record<string, string>>): readonly Found[] {
  const edited = new Map(Object.entries(ids).map(([own, id]) => [id, own]));
  return problems.map((one) => ({ ...one, node: edited.get(one.node) ?? one.node }));
}

function ViewPart({
  view,
  label,
  clients,
  onClients,
}: {
  view: GraphNode;
  label: Label;
  clients: number;
  onClients: (clients: number) => void;
}) {
  const explained = label.views.find((one) => one.view === titleOf(view));
  return (
    <div className="label-view">
      <Knobs view={view} />
      <fieldset className="knobs">
        <legend>Expected errors of {titleOf(view)}</legend>
        <KnobSlider
          label="Clients of one key and pane"
          value={clients}
          scale={CLIENTS}
          whole
          onChange={onClients}
        />
        {explained === undefined ? (
          <p className="field-hint">The view is not complete yet, so its errors are not known.</p>
        ) : (
          <ViewErrors explained={explained} view={view} />
        )}
      </fieldset>
    </div>
  );
}

function Problems({ problems }: { problems: readonly Found[] }) {
  return (
    <ul className="label-problems">
      {problems.slice(0, 20).map((one) => (
        <li key={`${one.node}/${one.field}/${one.message}`}>
          {one.line > 0 && <strong>Line {one.line}: </strong>}
          {one.message}
        </li>
      ))}
    </ul>
  );
}
