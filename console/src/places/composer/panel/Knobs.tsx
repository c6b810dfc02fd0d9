import { useState } from "react";
import { Select } from "../../../design/Field";
import { setField } from "../graph/edits";
import { type GraphNode, literal, textOf, titleOf } from "../graph/graph";
import { useComposer } from "../state/context";
import { KnobSlider } from "./KnobSlider";
import { type Knob, knobsOf, PANES, turned } from "./knobs";

/** The settings of a view that move its errors and its price. They edit the graph, so they can be undone. */
export function Knobs({ view }: { view: GraphNode }) {
  const { editing, dispatch } = useComposer();
  const [held, hold] = useState<Knob | undefined>(undefined);
  const knobs = knobsOf(editing.graph, view);
  const pane = textOf(view, "pane");

  function turn(knob: Knob, value: number): void {
    hold(knob);
    dispatch({
      type: "edit",
      graph: setField(editing.graph, knob.node, knob.field, literal(turned(editing.graph, knob, value))),
      gesture: knob.key,
    });
  }

  if (knobs.length === 0 && pane === "") {
    return null;
  }
  return (
    <fieldset className="knobs" onPointerUp={() => hold(undefined)} onKeyUp={() => hold(undefined)}>
      <legend>Settings of {titleOf(view)}</legend>
      {knobs.map((knob) => (
        <KnobSlider
          key={knob.key}
          label={knob.label}
          value={knob.value}
          whole={knob.whole}
          scale={held?.key === knob.key ? held.scale : knob.scale}
          onChange={(value) => turn(held?.key === knob.key ? { ...knob, scale: held.scale } : knob, value)}
        />
      ))}
      {pane !== "" && (
        <Select
          label="Pane"
          value={pane}
          options={(PANES.some((one) => one === pane) ? PANES : [pane, ...PANES]).map((one) => [one, one])}
          onChange={(value) =>
            dispatch({ type: "edit", graph: setField(editing.graph, view.id, "pane", literal(value)) })
          }
        />
      )}
    </fieldset>
  );
}
