import { Checkbox } from "../../design/Field";
import type { RunColumn } from "./table";

interface ColumnsProps {
  columns: readonly RunColumn[];
  shown: readonly string[];
  onChange: (shown: string[]) => void;
}

/** Chooses the columns of the table. */
export function Columns({ columns, shown, onChange }: ColumnsProps) {
  const chosen = columns.filter((one) => shown.includes(one.key)).length;
  return (
    <details className="lab-columns">
      <summary>
        Columns ({chosen} of {columns.length})
      </summary>
      {(["setting", "result"] as const).map((source) => (
        <fieldset key={source}>
          <legend>{source === "setting" ? "Settings that differ" : "Results"}</legend>
          {columns
            .filter((one) => one.source === source)
            .map((one) => (
              <Checkbox
                key={one.key}
                label={one.name}
                checked={shown.includes(one.key)}
                onChange={(checked) =>
                  onChange(checked ? [...shown, one.key] : shown.filter((key) => key !== one.key))
                }
              />
            ))}
        </fieldset>
      ))}
    </details>
  );
}
