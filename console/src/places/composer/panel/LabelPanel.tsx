import { asProblem } from "../../../api/problem";
import { Empty } from "../../../design/Empty";
import { Problem } from "../../../design/Problem";
import { Spinner } from "../../../design/Progress";
import { type GraphNode, titleOf } from "../graph/graph";
import { useComposer } from "../state/context";
import { FoundProblems } from "./FoundProblems";
import { KnobSlider } from "./KnobSlider";
import { Knobs } from "./Knobs";
import { Price } from "./Price";
import { CLIENTS } from "./scale";
import { shownView } from "./shownView";
import type { Explained, Label } from "./useLabel";
import { ViewErrors } from "./ViewErrors";

/** The privacy label of what is composed, for a fleet of a stated size. */
export function LabelPanel({ explained }: { explained: Explained }) {
  const { editing } = useComposer();
  const { label, error, isLate, clients, setClients } = explained;
  const view = shownView(editing);
  if (error && label === undefined) {
    return <Problem problem={asProblem(error)} />;
  }
  if (label === undefined) {
    return <Spinner label="Pricing the views" />;
  }
  return (
    <div className="label" aria-busy={isLate}>
      {Boolean(error) && <Problem problem={asProblem(error)} />}
      {label.total === null ? (
        <Empty>
          No view has a price yet. Place a view, give it an entity and a feature, and its price appears.
        </Empty>
      ) : (
        <Price label={label} />
      )}
      {label.problems.length > 0 && <FoundProblems problems={label.problems} />}
      {view !== undefined && <ViewPart view={view} label={label} clients={clients} onClients={setClients} />}
    </div>
  );
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
