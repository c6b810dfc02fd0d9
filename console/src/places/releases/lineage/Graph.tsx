import {
  Background,
  Controls,
  Handle,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
} from "@xyflow/react";
import { useMemo } from "react";
import "@xyflow/react/dist/base.css";
import "./lineage.css";
import { cardsOf, KINDS, type Lineage, linesOf, type PartCard, placesOf } from "./parts";

const CARDS = { part: PartView };

interface GraphProps {
  lineage: Lineage;
  chosen: string | undefined;
  onChoose: (id: string | undefined) => void;
}

/** The graph to look at: a click, or Enter on a part, chooses it. The table has the same. */
export function Graph({ lineage, chosen, onChoose }: GraphProps) {
  const places = useMemo(() => placesOf(lineage), [lineage]);
  const cards = useMemo(() => cardsOf(lineage, places, chosen), [lineage, places, chosen]);
  const lines = useMemo(() => linesOf(lineage, chosen), [lineage, chosen]);
  return (
    <section className="lineage-graph" aria-label="Graph of the lineage">
      <ReactFlowProvider>
        <ReactFlow<PartCard>
          nodes={cards}
          edges={lines}
          nodeTypes={CARDS}
          nodesDraggable={false}
          nodesConnectable={false}
          deleteKeyCode={null}
          multiSelectionKeyCode={null}
          selectionKeyCode={null}
          minZoom={0.1}
          maxZoom={1.5}
          fitView
          fitViewOptions={{ maxZoom: 1, padding: 0.08 }}
          onNodesChange={(changes) => {
            for (const change of changes) {
              if (change.type === "select" && change.selected) {
                onChoose(change.id);
              }
            }
          }}
          onPaneClick={() => onChoose(undefined)}
        >
          <Background />
          <Controls showInteractive={false} />
        </ReactFlow>
      </ReactFlowProvider>
    </section>
  );
}

function PartView({ data, selected }: NodeProps<PartCard>) {
  const { part, dim } = data;
  return (
    <div
      className={`lineage-part${selected ? " lineage-part-chosen" : ""}${dim ? " lineage-part-dim" : ""}`}
      style={{ borderInlineStartColor: `var(${KINDS[part.kind].colour})` }}
    >
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="lineage-kind">
        {KINDS[part.kind].title}
        {part.problem === null ? "" : " – cannot be read"}
      </span>
      <span className="lineage-name" title={part.name}>
        {part.name}
      </span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
}
