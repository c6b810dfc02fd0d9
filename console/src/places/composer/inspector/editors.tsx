// The control of one field, by the kind of its value.

import { useState } from "react";
import { Combobox } from "../../../design/Combobox";
import { Field, Select, TextField } from "../../../design/Field";
import { inline } from "../../../design/text";
import type { Json } from "../graph/graph";
import type { PaletteField } from "../graph/palette";
import type { SourceColumn } from "../graph/sources";
import { useDraft } from "./draft";
import { type LineEditor, readPair, readTags, readText, textOfTags, textOfValue } from "./texts";

export interface EditorProps {
  field: PaletteField;
  label: string;
  hint: string;
  value: Json | undefined;
  error: string | undefined;
  onValue: (value: Json) => void;
}

/** A value in one line. */
export function Line({
  editor,
  field,
  label,
  hint,
  value,
  error,
  onValue,
}: EditorProps & { editor: LineEditor }) {
  const [opened] = useState(value); // what is written meanwhile may be of another type by mistake
  const draft = useDraft(
    value,
    (one) => textOfValue(editor, one),
    (text) => readText(editor, text, opened),
    onValue,
  );
  return (
    <TextField
      label={label}
      hint={hint}
      error={draft.error ?? error}
      value={draft.text}
      placeholder={textOfValue(editor, field.default)}
      mono={editor !== "text"}
      onChange={draft.write}
    />
  );
}

/** The name of a column, with the columns of the sources to choose from. */
export function ColumnName({
  columns,
  label,
  hint,
  value,
  error,
  field,
  onValue,
}: EditorProps & { columns: readonly SourceColumn[] }) {
  const text = textOfValue("name_or_names", value);
  const begun = text.toLowerCase();
  const fitting = columns.filter(
    (column) => column.name.toLowerCase().includes(begun) && column.name !== text,
  );
  const draft = useDraft(
    value,
    (one) => textOfValue("name_or_names", one),
    (one) => readText(field.editor === "column" ? "text" : "name_or_names", one),
    onValue,
  );
  return (
    <Combobox
      label={label}
      hint={hint}
      error={error}
      value={draft.text}
      options={fitting.slice(0, 50).map((column) => column.name)}
      onChange={draft.write}
    />
  );
}

export function Choice({ field, label, hint, value, error, onValue }: EditorProps) {
  const own = value ?? field.default;
  const texts = field.choices.map((choice) => [choice, choice] as const);
  const offered: readonly (readonly [string, string])[] = own === null ? [["", "default"], ...texts] : texts;
  return (
    <Select
      label={label}
      hint={hint}
      error={error}
      value={own === null ? "" : String(own)}
      options={offered}
      onChange={(chosen) => onValue(chosen === "" ? null : chosen)}
    />
  );
}

export function YesOrNo({ field, label, hint, value, error, onValue }: EditorProps) {
  return (
    <Select
      label={label}
      hint={hint}
      error={error}
      value={String(value ?? field.default ?? false)}
      options={[
        ["false", "no"],
        ["true", "yes"],
      ]}
      onChange={(chosen) => onValue(chosen === "true")}
    />
  );
}

/** Two numbers: the limits of a clip. */
export function Pair({ label, hint, value, error, onValue }: EditorProps) {
  const draft = useDraft(
    value,
    (one) => (Array.isArray(one) ? `${one[0]}\n${one[1]}` : "\n"),
    (text) => {
      const [low = "", high = ""] = text.split("\n");
      return readPair(low, high);
    },
    onValue,
  );
  const [low = "", high = ""] = draft.text.split("\n");
  return (
    <div className="inspector-pair">
      <TextField
        label={`${label}, low`}
        mono
        value={low}
        onChange={(text) => draft.write(`${text}\n${high}`)}
      />
      <TextField
        label={`${label}, high`}
        mono
        value={high}
        onChange={(text) => draft.write(`${low}\n${text}`)}
      />
      {hint !== "" && <span className="field-hint">{inline(hint)}</span>}
      {(draft.error ?? error) !== undefined && (
        <span className="field-error">{inline(draft.error ?? error ?? "")}</span>
      )}
    </div>
  );
}

/** Several lines of text. */
export function Lines(props: EditorProps & { rows?: number }) {
  return (
    <Block
      {...props}
      shown={(one) => (typeof one === "string" ? one : "")}
      read={(text) => ({ kind: "value", value: text })}
    />
  );
}

export function Tags(props: EditorProps) {
  return <Block {...props} shown={textOfTags} read={readTags} />;
}

interface BlockProps extends EditorProps {
  shown: Parameters<typeof useDraft>[1];
  read: Parameters<typeof useDraft>[2];
  rows?: number;
}

export function Block({ label, hint, value, error, onValue, shown, read, rows = 3 }: BlockProps) {
  const draft = useDraft(value, shown, read, onValue);
  return (
    <Field label={label} hint={hint} error={draft.error ?? error}>
      {({ id, describedBy, invalid }) => (
        <textarea
          id={id}
          className="input mono"
          rows={rows}
          spellCheck={false}
          value={draft.text}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => draft.write(event.target.value)}
        />
      )}
    </Field>
  );
}
