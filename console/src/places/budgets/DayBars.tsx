import { type PointerEvent, useMemo, useRef, useState } from "react";
import { seriesColour } from "../../design/colours";
import { moment, rho } from "../../design/format";
import { useWidth } from "../../design/useWidth";
import { DAY_US, type Day, dayTicks, frameOf, stacksOf, viewsOf, xOf, yOf } from "./stacks";

interface DayBarsProps {
  days: readonly Day[];
  budget: number;
}

const HEIGHT = 220;
const LEFT = 52;
const BOTTOM = 24;
const TICK_PX = 92;

/** What each day was charged by view, against the budget. The table below it has the same numbers. */
export function DayBars({ days, budget }: DayBarsProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = Math.max(0, useWidth(box) - LEFT - 4);
  const [shown, setShown] = useState<Day | undefined>();
  const views = useMemo(() => viewsOf(days), [days]);
  const frame = useMemo(() => frameOf(days, budget, width, HEIGHT), [days, budget, width]);
  const stacks = useMemo(() => stacksOf(days, views, frame), [days, views, frame]);
  const ticks = dayTicks(frame, Math.floor(width / TICK_PX));

  function point(event: PointerEvent<SVGSVGElement>): void {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left - LEFT;
    const at = Math.floor((frame.start + (x / width) * (frame.end - frame.start)) / DAY_US) * DAY_US;
    setShown(days.find((day) => day.day === at));
  }

  return (
    <figure className="day-bars" ref={box}>
      <svg
        role="img"
        aria-label={`ρ of each day by view, against the budget of ${rho(budget)}`}
        width="100%"
        height={HEIGHT + BOTTOM}
        onPointerMove={point}
        onPointerLeave={() => setShown(undefined)}
      >
        <g transform={`translate(${LEFT} 0)`}>
          {[0, 0.25, 0.5, 0.75, 1].map((part) => (
            <g key={part}>
              <line
                x2={width}
                y1={yOf(frame, part * budget)}
                y2={yOf(frame, part * budget)}
                className="grid-line"
              />
              <text x={-8} y={yOf(frame, part * budget)} className="axis-text axis-left">
                {rho(part * budget)}
              </text>
            </g>
          ))}
          {stacks.map((stack, index) => (
            <path key={stack.view} d={stack.path} fill={`var(${seriesColour(index)})`} />
          ))}
          {shown !== undefined && (
            <rect
              x={xOf(frame, shown.day)}
              width={Math.max(1, xOf(frame, shown.day + DAY_US) - xOf(frame, shown.day))}
              height={HEIGHT}
              className="day-shown"
            />
          )}
          <line x2={width} y1={yOf(frame, budget)} y2={yOf(frame, budget)} className="budget-line" />
          {ticks.map((tick) => (
            <text
              key={tick}
              x={xOf(frame, tick)}
              y={HEIGHT + 17}
              className="axis-text"
              textAnchor={width - xOf(frame, tick) < TICK_PX ? "end" : "start"}
            >
              {moment(tick)}
            </text>
          ))}
        </g>
      </svg>
      <figcaption>
        <ul className="legend">
          {stacks.map((stack, index) => (
            <li key={stack.view}>
              <span
                className="swatch"
                style={{ background: `var(${seriesColour(index)})` }}
                aria-hidden="true"
              />
              {stack.view}
            </li>
          ))}
          <li>
            <span className="swatch swatch-budget" aria-hidden="true" />
            budget of a client-day
          </li>
        </ul>
        <p className="readout">{shown === undefined ? "Point at a day to read it." : readout(shown)}</p>
      </figcaption>
    </figure>
  );
}

function readout(day: Day): string {
  const shares = day.views.map((share) => `${share.view} ${rho(share.micro_rho)}`).join(", ");
  return `${moment(day.day)}: ${shares}; left ${rho(day.left)}`;
}
