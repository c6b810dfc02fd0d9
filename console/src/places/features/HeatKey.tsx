import { meaningOf, statusColour } from "../../design/chart/statuses";
import { moment, number } from "../../design/format";
import type { Cell } from "./HeatCanvas";
import type { HeatMap, Mode, Scale } from "./heat";

interface HeatKeyProps {
  map: HeatMap;
  mode: Mode;
  scale: Scale;
  cell: Cell | undefined;
}

/** What the colours mean, and the cell under the cursor. */
export function HeatKey({ map, mode, scale, cell }: HeatKeyProps) {
  const codes = new Set(map.status);
  return (
    <div className="chart-key">
      <p className="features-heat-cell" aria-live="polite">
        {cell === undefined ? "Point at a cell to read its value." : readOut(map, cell)}
      </p>
      {mode === "status" ? (
        <ul className="chart-marks">
          {map.statuses.flatMap((status, code) =>
            codes.has(code)
              ? [
                  <li key={status}>
                    <i
                      className="chart-block"
                      style={{
                        background: `var(${status === "OK" ? "--accent-soft" : statusColour(status)})`,
                      }}
                    />
                    {status}: {meaningOf(status)}
                  </li>,
                ]
              : [],
          )}
        </ul>
      ) : (
        <p className="features-heat-scale">
          {number(scale.low)}
          <i className={scale.diverging ? "features-heat-two" : "features-heat-one"} />
          {number(scale.high)}
          <i className="chart-block features-heat-none" /> no value
        </p>
      )}
    </div>
  );
}

function readOut(map: HeatMap, { key, pane }: Cell): string {
  const at = key * map.moments.length + pane;
  const [value, se] = [map.value[at], map.se[at]];
  const status = map.statuses[map.status[at] ?? 0] ?? "";
  const numbers =
    value === null || value === undefined ? status : `${number(value)} ± ${number(se)} (${status})`;
  return `${map.keys[key]}, ${moment(map.moments[pane])}: ${numbers}`;
}
