import { Handle, type NodeProps, Position } from "@xyflow/react";
import { memo, type ReactNode } from "react";
import { type GraphNode, textOf, titleOf } from "../graph/graph";
import {
  type FilterCard,
  hasTitle,
  type PartCard,
  type SourceCard,
  shownColumns,
  type WindowsCard,
} from "./flow";
import { type Row, rowsOf, windowRows } from "./summary";
import { labelOf, typeWord } from "./words";

interface FrameProps {
  id: string;
  label: string;
  kind: string;
  word: string;
  title?: string | undefined;
  selected: boolean;
  problem?: string;
  draft?: boolean;
  children?: ReactNode;
}

/** The frame of each card: what it is, its name, what is wrong with it. */
function Frame({
  id,
  label,
  kind,
  word,
  title,
  selected,
  problem = "",
  draft = false,
  children,
}: FrameProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a card is a group of texts; fieldset is for forms
    <div
      role="group"
      aria-label={label}
      data-card={id}
      tabIndex={-1}
      className={`node node-${kind}${selected ? " node-selected" : ""}${draft ? " node-draft" : ""}${problem === "" ? "" : " node-wrong"}`}
      title={problem === "" ? undefined : problem}
    >
      <div className="node-word">
        <span>{word}</span>
        {problem !== "" && <span className="node-mark">!</span>}
      </div>
      {title !== undefined && <div className="node-title">{title}</div>}
      {children}
      {draft && <div className="node-hint">not joined yet, so not in the file</div>}
    </div>
  );
}

function Rows({ rows }: { rows: readonly Row[] }) {
  return rows.map(({ label, text }) => (
    <div key={`${label} ${text}`} className="node-row">
      {label !== "" && <span className="node-label">{label}</span>}
      <span className="node-value">{text}</span>
    </div>
  ));
}

function In() {
  return <Handle type="target" id="in" position={Position.Left} />;
}

function Out({ fixed = false }: { fixed?: boolean }) {
  return <Handle type="source" id="out" position={Position.Right} isConnectable={!fixed} />;
}

const TARGETS: ReadonlySet<GraphNode["kind"]> = new Set([
  "view",
  "entity",
  "feature",
  "on_demand",
  "service",
]);
const STARTS: ReadonlySet<GraphNode["kind"]> = new Set([
  "view",
  "entity",
  "feature",
  "bounds",
  "privacy",
  "on_demand",
]);

export const Part = memo(function Part({ id, data, selected }: NodeProps<PartCard>) {
  const { node, problem, draft } = data;
  return (
    <>
      {TARGETS.has(node.kind) && <In />}
      <Frame
        id={id}
        label={labelOf({ type: "part", data })}
        kind={node.kind}
        word={typeWord(node)}
        title={hasTitle(node) ? titleOf(node) || "no name yet" : undefined}
        selected={selected}
        problem={problem}
        draft={draft}
      >
        <Rows rows={rowsOf(node)} />
      </Frame>
      {STARTS.has(node.kind) && <Out />}
    </>
  );
});

export const Filter = memo(function Filter({ id, data, selected }: NodeProps<FilterCard>) {
  const { node, problem } = data;
  const field = node.fields.where;
  const where = field?.kind === "code" ? field.text : textOf(node, "where");
  return (
    <>
      <In />
      <Frame
        id={id}
        label={labelOf({ type: "filter", data })}
        kind="filter"
        word="Filter"
        selected={selected}
        problem={problem}
      >
        <div className="node-condition">{where === "" ? "no condition yet" : where}</div>
      </Frame>
      <Out fixed />
    </>
  );
});

export const Windows = memo(function Windows({ id, data, selected }: NodeProps<WindowsCard>) {
  const { node, problem } = data;
  return (
    <>
      <Frame
        id={id}
        label={labelOf({ type: "windows", data })}
        kind="windows"
        word="Windows"
        selected={selected}
        problem={problem}
      >
        <Rows rows={windowRows(node)} />
      </Frame>
      <Out fixed />
    </>
  );
});

export const SourceColumns = memo(function SourceColumns({ id, data, selected }: NodeProps<SourceCard>) {
  const { source, used } = data;
  const read = new Set(used.split("\n"));
  const shown = shownColumns(source, used);
  return (
    <Frame
      id={id}
      label={labelOf({ type: "source", data })}
      kind="source"
      word="Source"
      title={source.name}
      selected={selected}
    >
      {shown.map((column) => (
        <div key={column.name} className="node-column">
          <span className={read.has(column.name) ? "node-value node-read" : "node-value"}>{column.name}</span>
          <span className="node-label">{column.type}</span>
          <Handle type="source" id={`column:${column.name}`} position={Position.Right} />
        </div>
      ))}
      {shown.length < source.columns.length && (
        <div className="node-hint">and {source.columns.length - shown.length} more columns</div>
      )}
    </Frame>
  );
});
