import { Button } from "../../../design/Button";
import { shortText } from "../canvas/summary";
import { setField } from "../graph/edits";
import { type Field, type GraphNode, literal, textsOf } from "../graph/graph";
import type { PaletteField } from "../graph/palette";
import { allColumns } from "../graph/sources";
import { useComposer } from "../state/context";
import { CodeText } from "./CodeText";
import { ConditionField } from "./ConditionField";
import { Domain } from "./Domain";
import { Choice, ColumnName, type EditorProps, Line, Lines, Pair, Tags, YesOrNo } from "./editors";
import { hintOf } from "./hints";
import { pythonOf } from "./python";
import { References } from "./References";

interface FieldEditorProps {
  node: GraphNode;
  field: PaletteField;
}

/** One field of the chosen node: its control, and a menu to write it as code or to leave it out. */
export function FieldEditor({ node, field }: FieldEditorProps) {
  const { editing, problems, dispatch } = useComposer();
  const now = node.fields[field.name];
  const error = problems.find((one) => one.node === node.id && one.field === field.name)?.message;

  function change(next: Field | undefined, says?: string): void {
    dispatch({
      type: "edit",
      graph: setField(editing.graph, node.id, field.name, next),
      gesture: `${node.id}/${field.name}`,
      ...(says === undefined ? {} : { says }),
    });
  }

  const label = labelOf(field.name);
  const props: EditorProps = {
    field,
    label,
    hint: hintOf(field.help),
    value: now?.kind === "literal" ? now.value : undefined,
    error,
    onValue: (value) => change(literal(value)),
  };
  return (
    <div className="inspector-field">
      {now?.kind === "code" && field.editor !== "domain" ? (
        <CodeText
          label={label}
          hint={props.hint}
          error={error}
          text={now.text}
          onText={(text) => change({ kind: "code", text })}
        />
      ) : (
        <Control node={node} props={props} now={now} onField={change} />
      )}
      {field.editor !== "code" && field.editor !== "arguments" && (
        <details className="inspector-menu">
          <summary aria-label={`More for ${label}`} title={`More for ${label}`}>
            ⋯
          </summary>
          <div>
            {now?.kind === "literal" && (
              <Button onClick={() => change({ kind: "code", text: pythonOf(now.value) })}>
                Write as code
              </Button>
            )}
            {now?.kind === "code" && (
              <Button onClick={() => change(field.default === null ? undefined : literal(field.default))}>
                Write as a value
              </Button>
            )}
            {now !== undefined && !field.required && (
              <Button onClick={() => change(undefined, `${label} left out`)}>Leave out</Button>
            )}
            {now === undefined && (
              <span className="field-hint">It is not in the file; its default counts.</span>
            )}
          </div>
        </details>
      )}
    </div>
  );
}

interface ControlProps {
  node: GraphNode;
  props: EditorProps;
  now: Field | undefined;
  onField: (field: Field) => void;
}

function Control({ node, props, now, onField }: ControlProps) {
  const { sources } = useComposer();
  switch (props.field.editor) {
    case "column":
    case "columns":
      return <ColumnName {...props} columns={allColumns(sources)} />;
    case "condition":
      return <ConditionField {...props} />;
    case "interval":
      return <Pair {...props} />;
    case "domain":
      return <Domain {...props} value={now} keys={textsOf(node, "keys").length} onField={onField} />;
    case "choice":
      return <Choice {...props} />;
    case "boolean":
      return <YesOrNo {...props} />;
    case "tags":
      return <Tags {...props} />;
    case "code":
      return (
        <CodeText
          label={props.label}
          hint={props.hint}
          error={props.error}
          text={now?.kind === "code" ? now.text : ""}
          onText={(text) => onField({ kind: "code", text })}
        />
      );
    case "key":
      return <Line {...props} editor="key" />;
    case "references":
      return <References {...props} />;
    case "arguments":
      return <Arguments label={props.label} now={now} />;
    case "description":
      return <Lines {...props} />;
    case "number":
    case "integer":
    case "duration":
    case "durations":
    case "numbers":
    case "texts":
      return <Line {...props} editor={props.field.editor} />;
    default:
      return <Line {...props} editor="text" />;
  }
}

/** What a function reads follows from its annotations, so it is shown and edited there. */
function Arguments({ label, now }: { label: string; now: Field | undefined }) {
  return (
    <p className="inspector-hint">
      {label}: {(now && shortText(now)) || "none yet"}. Join views to add some. Once the function is written,
      they follow from its annotations.
    </p>
  );
}

export function labelOf(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
