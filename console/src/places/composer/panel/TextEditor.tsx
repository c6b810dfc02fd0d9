import { useRef, useState } from "react";
import { api } from "../../../api/client";
import { type ApiProblem, asProblem } from "../../../api/problem";
import type { components } from "../../../api/schema";
import { Button } from "../../../design/Button";
import { Field } from "../../../design/Field";
import { Problem } from "../../../design/Problem";
import { useComposer } from "../state/context";
import type { Draft } from "../state/kept";
import { shownIn, withEndsOf } from "./ends";
import { graphOf } from "./wire";

type Fault = components["schemas"]["SyntaxFault"];

interface TextEditorProps {
  /** What the graph means now. */
  text: string;
  draft: Draft;
  onEdit: (draft: Draft | undefined) => void;
}

/** The text of the views, to edit by hand. It is parsed when it is applied; a mistake is shown at its line and loses nothing. */
export function TextEditor({ text, draft, onEdit }: TextEditorProps) {
  const { dispatch } = useComposer();
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);

  async function apply(): Promise<void> {
    setBusy(true);
    setProblem(undefined);
    const edited = withEndsOf(text, draft.text);
    try {
      const { data } = await api.POST("/console/api/composer/parse", { body: { text: edited } });
      if (data === undefined) {
        return;
      }
      if (data.fault === null) {
        dispatch({ type: "rebase", text: edited, graph: graphOf(data.graph), ids: {} });
        dispatch({ type: "problems", origin: "file", problems: data.problems });
        onEdit(undefined);
        return;
      }
      setFault(data.fault);
      show(area.current, data.fault);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <div className="python">
      <Field
        label="Text of the views"
        hint="The text is parsed, and not executed."
        error={
          fault === undefined ? undefined : `Line ${fault.line}, column ${fault.column}: ${fault.message}`
        }
      >
        {({ id, describedBy, invalid }) => (
          <textarea
            id={id}
            ref={area}
            className="input mono python-text"
            rows={24}
            wrap="off"
            spellCheck={false}
            value={draft.text}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            onChange={(event) => onEdit({ ...draft, text: event.target.value })}
          />
        )}
      </Field>
      {problem !== undefined && <Problem problem={problem} />}
      {shownIn(text) !== draft.from && (
        <p className="field-hint" role="status">
          The graph was edited since this text was opened. Applying the text replaces those edits; Undo brings
          them back.
        </p>
      )}
      <div className="python-tools">
        <Button kind="primary" disabled={isBusy} onClick={() => void apply()}>
          Apply the text
        </Button>
        <Button onClick={() => onEdit(undefined)}>Discard these edits</Button>
      </div>
    </div>
  );
}

/** Puts the caret on the line of a mistake. */
function show(area: HTMLTextAreaElement | null, fault: Fault): void {
  if (area !== null) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, fault.line - 1).join("\n").length + (fault.line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[fault.line - 1] ?? "").length);
  }
}
