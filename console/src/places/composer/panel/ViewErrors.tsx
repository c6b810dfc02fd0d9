import type { components } from "../../../api/schema";
import { count } from "../../../design/format";
import { type GraphNode, literalOf, nodeOf, titleOf } from "../graph/graph";
import { useComposer } from "../state/context";
import { ErrorBar } from "./ErrorBar";
import { scaleOf } from "./errorBars";

type View = components["schemas"]["ViewExplanation"];

/** The expected error of each feature of a view, as bars. */
export function ViewErrors({ explained, view }: { explained: View; view: GraphNode }) {
  const { editing } = useComposer();
  const nodes = (view.links.features ?? []).flatMap((id) => nodeOf(editing.graph, id) ?? []);
  return (
    <>
      <p className="field-hint">Value ± one standard error of the noise. The bar is the 95 % interval.</p>
      <ul className="errors">
        {explained.features.map((feature) => {
          const [expected] = feature.expected;
          const clip = clipOf(nodes.find((node) => titleOf(node) === feature.feature));
          return (
            expected !== undefined && (
              <li key={feature.feature}>
                <span className="errors-name">
                  {feature.feature} <small>{feature.kind}</small>
                </span>
                <ErrorBar
                  label={feature.feature}
                  expected={expected}
                  scale={scaleOf(feature.kind, clip, expected.value ?? 0)}
                />
                <small className="field-hint">
                  {feature.enough_clients === null
                    ? "No number of clients is enough."
                    : `${count(feature.enough_clients)} clients are enough.`}
                  {expected.clients < explained.min_clients &&
                    ` A pane with fewer than ${count(explained.min_clients)} clients is not opened.`}
                </small>
              </li>
            )
          );
        })}
      </ul>
    </>
  );
}

function clipOf(node: GraphNode | undefined): readonly [number, number] | undefined {
  const clip = node === undefined ? undefined : literalOf(node, "clip");
  const [low, high] = Array.isArray(clip) ? clip : [];
  return typeof low === "number" && typeof high === "number" && high > low ? [low, high] : undefined;
}
