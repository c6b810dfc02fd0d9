import { useMemo, useState } from "react";
import { Button } from "../../../design/Button";
import { TextField } from "../../../design/Field";
import { flowOf } from "../canvas/flow";
import { INSPECTOR_ID } from "../canvas/keys";
import { typeWord } from "../canvas/words";
import { disconnected } from "../graph/disconnect";
import { rename } from "../graph/edits";
import { type GraphNode, isDraft, nodeOf, titleOf } from "../graph/graph";
import { nameProblem } from "../graph/names";
import { type PaletteField, typeOf } from "../graph/palette";
import { useCommands } from "../state/commands";
import { useComposer } from "../state/context";
import { nodeIdOf } from "../state/editing";
import { useDraft } from "./draft";
import { FieldEditor } from "./FieldEditor";
import "./inspector.css";

/** The fields and joins of the chosen part. */
export function Inspector() {
  const { editing } = useComposer();
  const [chosen = ""] = editing.selection;
  const node = nodeOf(editing.graph, nodeIdOf(chosen));
  return (
    <section
      className="inspector"
      aria-label="Fields of the chosen part"
      id={INSPECTOR_ID}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !event.defaultPrevented) {
          document.querySelector<HTMLElement>('.outline [role="treeitem"][tabindex="0"]')?.focus();
        }
      }}
    >
      {editing.selection.length > 1 ? (
        <Several count={editing.selection.length} />
      ) : node !== undefined ? (
        <Fields key={chosen} chosen={chosen} node={node} />
      ) : chosen.startsWith("source:") ? (
        <p className="inspector-hint">
          Columns of the events. Draw a line from a column to what reads it, or press <kbd>C</kbd> on a column
          of the outline.
        </p>
      ) : (
        <p className="inspector-hint">
          Choose a part in the outline or on the canvas to edit its fields here.
        </p>
      )}
    </section>
  );
}

function Several({ count }: { count: number }) {
  const commands = useCommands();
  return (
    <>
      <h2 className="inspector-title">{count} parts chosen</h2>
      <div className="inspector-actions">
        <Button kind="danger" onClick={commands.removeChosen}>
          Delete all
        </Button>
      </div>
    </>
  );
}

const WINDOW_FIELDS: ReadonlySet<string> = new Set(["pane", "windows"]);
const FILTER_FIELDS: ReadonlySet<string> = new Set(["where"]);
/** Fields that are joins, and are edited as such. */
const JOINED: ReadonlySet<string> = new Set(["entity", "features", "bounds", "privacy"]);

function Fields({ chosen, node }: { chosen: string; node: GraphNode }) {
  const { editing, palette, problems, setDialog } = useComposer();
  const commands = useCommands();
  const isWhole = chosen === node.id;
  const only = chosen.startsWith("windows:")
    ? WINDOW_FIELDS
    : chosen.startsWith("filter:")
      ? FILTER_FIELDS
      : undefined;
  const fields = (typeOf(palette, node)?.fields ?? []).filter(
    ({ name }) =>
      (only?.has(name) ?? true) && !(node.kind === "view" && JOINED.has(name) && !(name in node.fields)),
  );
  const [first] = useState(() => new Set(Object.keys(node.fields))); // a field that is written now keeps its place, and the focus
  const shown = fields.filter((field) => only !== undefined || field.required || first.has(field.name));
  const rest = fields.filter((field) => !shown.includes(field));
  const general = problems.filter(
    (one) => one.node === node.id && isWhole && !fields.some((field) => field.name === one.field),
  );
  const word = only === WINDOW_FIELDS ? "Windows of" : only === FILTER_FIELDS ? "Filter of" : typeWord(node);
  return (
    <>
      <h2 className="inspector-title">
        {word} <span className="mono">{titleOf(node)}</span>
      </h2>
      {isDraft(editing.graph, node) && (
        <p className="inspector-hint">Not in the file yet: join it to a view, or give it a Python name.</p>
      )}
      {general.map((problem) => (
        <p key={`${problem.field} ${problem.message}`} className="field-error">
          {problem.message}
        </p>
      ))}
      {shown.map((field) => (
        <FieldEditor key={field.name} node={node} field={field} />
      ))}
      {rest.length > 0 && <More node={node} fields={rest} />}
      {isWhole && <PythonName node={node} />}
      <Joins chosen={chosen} />
      {isWhole && (
        <div className="inspector-actions">
          <Button onClick={() => setDialog("join")}>Join…</Button>
          <Button kind="danger" onClick={commands.removeChosen}>
            Delete
          </Button>
        </div>
      )}
    </>
  );
}

function More({ node, fields }: { node: GraphNode; fields: readonly PaletteField[] }) {
  return (
    <details className="inspector-more">
      <summary>More fields ({fields.length})</summary>
      {fields.map((field) => (
        <FieldEditor key={field.name} node={node} field={field} />
      ))}
    </details>
  );
}

function PythonName({ node }: { node: GraphNode }) {
  const { editing, dispatch } = useComposer();
  const { graph } = editing;
  const draft = useDraft(
    node.name,
    (value) => String(value ?? ""),
    (text) => {
      const why = nameProblem(graph, node, text.trim());
      return why === undefined ? { kind: "value", value: text.trim() } : { kind: "wrong", why };
    },
    (name) =>
      dispatch({
        type: "edit",
        graph: rename(graph, node.id, String(name)),
        gesture: `${node.id}/name in Python`,
      }),
  );
  if (node.kind === "code") {
    return null;
  }
  const isPart = ["entity", "feature", "bounds", "privacy"].includes(node.kind);
  return (
    <TextField
      label="Name in Python"
      hint={isPart ? "Empty: it is written inside its view. With a name, views can share it." : undefined}
      error={draft.error}
      mono
      value={draft.text}
      onChange={draft.write}
    />
  );
}

function Joins({ chosen }: { chosen: string }) {
  const { editing, sources, apply } = useComposer();
  const { graph } = editing;
  const flow = useMemo(() => flowOf(graph, sources, []), [graph, sources]);
  const titles = new Map(
    flow.cards.map((card) => {
      const title = card.type === "source" ? card.data.source.name : titleOf(card.data.node);
      return [
        card.id,
        `${card.type === "part" ? typeWord(card.data.node) : (card.type ?? "")} ${title}`.trim(),
      ];
    }),
  );
  const lines = flow.lines.filter(
    (line) => (line.source === chosen || line.target === chosen) && line.data?.joined.kind !== "fixed",
  );
  if (lines.length === 0) {
    return null;
  }
  return (
    <section>
      <h3 className="inspector-subtitle">Joins</h3>
      <ul className="inspector-joins">
        {lines.map((line) => {
          const joined = line.data?.joined;
          const other = titles.get(line.source === chosen ? line.target : line.source) ?? "";
          const text = joined?.kind === "column" ? `column ${joined.column}` : other;
          return (
            <li key={line.id}>
              <span>{line.source === chosen ? `to ${text}` : `from ${text}`}</span>
              <Button
                label={`Take out the join with ${text}`}
                title="Take the join out"
                onClick={() => joined !== undefined && apply(disconnected(graph, joined))}
              >
                ×
              </Button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
