import { number } from "../../design/format";
import { barsOf, metricNames, placed, scaleOf } from "./metrics";
import type { Version } from "./types";

const ROW = 24;
const WIDTH = 320;
const LABEL = 44;

/** Each metric of the versions with its interval, one below the other, so that one sees whether intervals overlap. */
export function Intervals({ versions }: { versions: readonly Version[] }) {
  const names = metricNames(versions).filter((name) => barsOf(versions, name).length > 0);
  return (
    <div className="models-intervals">
      {names.map((name) => (
        <IntervalsOf key={name} name={name} versions={versions} />
      ))}
    </div>
  );
}

function IntervalsOf({ name, versions }: { name: string; versions: readonly Version[] }) {
  const bars = barsOf(versions, name);
  const scale = scaleOf(bars);
  const at = (value: number) => LABEL + placed(value, scale) * (WIDTH - LABEL);
  const height = bars.length * ROW + 20;
  return (
    <figure>
      <figcaption>{name}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        role="img"
        aria-label={`${name} by version; the table has the numbers`}
      >
        {bars.map((bar, index) => {
          const y = index * ROW + ROW / 2;
          return (
            <g key={bar.version}>
              <text x={0} y={y + 4}>{`v${bar.version}`}</text>
              {bar.low !== null && bar.high !== null && (
                <line x1={at(bar.low)} x2={at(bar.high)} y1={y} y2={y} className="models-interval" />
              )}
              <circle cx={at(bar.value)} cy={y} r={4} className="models-value" />
            </g>
          );
        })}
        <text x={LABEL} y={height - 4}>
          {number(scale.from, 3)}
        </text>
        <text x={WIDTH} y={height - 4} textAnchor="end">
          {number(scale.to, 3)}
        </text>
      </svg>
    </figure>
  );
}
