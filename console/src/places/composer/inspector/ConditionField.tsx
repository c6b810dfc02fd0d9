import type { EditorProps } from "./editors";
import { Line } from "./editors";

/** A condition in the closed grammar of `where`. */
export function ConditionField(props: EditorProps) {
  return <Line {...props} editor="text" />;
}
