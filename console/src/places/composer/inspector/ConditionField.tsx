import { ConditionEditor } from "../condition/ConditionEditor";
import { allColumns } from "../graph/sources";
import { useComposer } from "../state/context";
import type { EditorProps } from "./editors";

/** A condition in the closed grammar of `where`. */
export function ConditionField({ label, hint, value, error, onValue }: EditorProps) {
  const { sources } = useComposer();
  return (
    <ConditionEditor
      label={label}
      hint={hint}
      value={typeof value === "string" ? value : ""}
      error={error}
      columns={allColumns(sources)}
      onChange={onValue}
    />
  );
}
