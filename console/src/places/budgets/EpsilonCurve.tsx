import { useRef } from "react";
import type { components } from "../../api/schema";
import { number } from "../../design/format";
import { useWidth } from "../../design/useWidth";

type Claim = components["schemas"]["DaysEpsilon"];

const HEIGHT = 180;
const LEFT = 44;
const RIGHT = 16;
const TOP = 10;
const BOTTOM = 28;
const LINES = [
  ["aggregator", "against an aggregator", "--series-2"],
  ["outsiders", "against outsiders", "--series-1"],
] as const;

/** How ε grows with the days on which a client takes part. */
export function EpsilonCurve({ claims, limit }: { claims: readonly Claim[]; limit: number | undefined }) {
  const box = useRef<HTMLDivElement>(null);
  const width = Math.max(0, useWidth(box) - LEFT - RIGHT);
  const days = claims.at(-1)?.days ?? 1;
  const top = Math.max(...claims.map((claim) => claim.aggregator), 1e-9) * 1.08;
  const x = (day: number) => (day / days) * width;
  const y = (epsilon: number) => HEIGHT - (epsilon / top) * HEIGHT;
  return (
    <figure className="epsilon-curve" ref={box}>
      <svg role="img" aria-label={`ε over ${days} days`} width="100%" height={TOP + HEIGHT + BOTTOM}>
        <g transform={`translate(${LEFT} ${TOP})`}>
          {[0, 0.5, 1].map((part) => (
            <g key={part}>
              <line x2={width} y1={y(part * top)} y2={y(part * top)} className="grid-line" />
              <text x={-8} y={y(part * top) + 4} className="axis-text axis-left">
                {number(part * top, 2)}
              </text>
            </g>
          ))}
          {limit !== undefined && limit <= top && (
            <line x2={width} y1={y(limit)} y2={y(limit)} className="budget-line" />
          )}
          {LINES.map(([key, , colour]) => (
            <polyline
              key={key}
              fill="none"
              stroke={`var(${colour})`}
              strokeWidth={2}
              points={["0,0", ...claims.map((claim) => `${claim.days},${claim[key]}`)]
                .map((pair) => pair.split(",").map(Number))
                .map(([day = 0, epsilon = 0]) => `${x(day).toFixed(1)},${y(epsilon).toFixed(1)}`)
                .join(" ")}
            />
          ))}
          {[0, 0.25, 0.5, 0.75, 1].map((part) => (
            <text key={part} x={x(part * days)} y={HEIGHT + 18} className="axis-text axis-middle">
              {Math.round(part * days)}
            </text>
          ))}
        </g>
      </svg>
      <figcaption>
        <ul className="legend">
          {LINES.map(([key, title, colour]) => (
            <li key={key}>
              <span className="swatch" style={{ background: `var(${colour})` }} aria-hidden="true" />ε {title}
              , by days
            </li>
          ))}
          {limit !== undefined && (
            <li>
              <span className="swatch swatch-budget" aria-hidden="true" />
              limit
            </li>
          )}
        </ul>
      </figcaption>
    </figure>
  );
}
