import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { Button } from "./Button";
import { ChartKey } from "./ChartKey";
import "./chart/chart.css";
import { aligned, type ChartGap, type ChartLine, panned, type Range, zoomed } from "./chart/lines";
import { dataOf, optionsOf, stripsHeight } from "./chart/plot";
import { useColours } from "./useColours";
import { useWidth } from "./useWidth";

interface ChartProps {
  /** What is shown, in a few words; the page also has the numbers as a table. */
  label: string;
  lines: readonly ChartLine[];
  gaps?: readonly ChartGap[] | undefined;
  /** The names of the status codes of the lines. */
  statuses?: readonly string[] | undefined;
  /** The time that is shown; undefined: all that the lines have. */
  range?: Range | undefined;
  /** The time that can be shown. */
  whole?: Range | undefined;
  /** The user zooms or pans; undefined: back to all. Without it, the chart stands still. */
  onRange?: (range: Range | undefined) => void;
  height?: number;
}

// One object for all charts: a new one at each drawing would build the chart anew whenever the cursor moves.
const NO_GAPS: readonly ChartGap[] = [];
const NO_STATUSES: readonly string[] = [];

/** Values over time with their 95 % bands, gaps and statuses. The mouse or the keyboard reads, zooms and pans. */
export function Chart({
  label,
  lines,
  gaps = NO_GAPS,
  statuses = NO_STATUSES,
  range,
  whole,
  onRange,
  height = 320,
}: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useColours();
  const width = useWidth(frame);
  const [place, setPlace] = useState<number | undefined>();
  const data = useMemo(() => aligned(lines), [lines]);
  const zoom = useRef(onRange);
  zoom.current = onRange;

  const [from, to] = range ?? [];

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes the colours that the options read
  useEffect(() => {
    if (frame.current === null || width === 0) {
      return;
    }
    const made = new uPlot(
      optionsOf({
        lines,
        gaps,
        statuses,
        data,
        range: from === undefined || to === undefined ? undefined : [from, to],
        width,
        height: height + stripsHeight(lines),
        onCursor: setPlace,
        onZoom: (chosen) => zoom.current?.(chosen),
      }),
      dataOf(data),
      frame.current,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
  }, [lines, gaps, statuses, data, from, to, width, height, theme]);

  const extent: Range = whole ?? [data.moments[0] ?? 0, data.moments.at(-1) ?? 1];
  const shown: Range = range ?? extent;
  const change = (next: Range) => onRange?.(next[0] <= extent[0] && next[1] >= extent[1] ? undefined : next);
  const least = Math.max(1, (extent[1] - extent[0]) / 10_000);

  function press(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined && event.shiftKey) {
      change(panned(shown, step / 4, extent));
    } else if (step !== undefined) {
      moveCursor(step);
    } else if (event.key === "+" || event.key === "=") {
      change(zoomed(shown, 0.5, extent, least));
    } else if (event.key === "-") {
      change(zoomed(shown, 2, extent, least));
    } else if (event.key === "0") {
      onRange?.(undefined);
    } else {
      return;
    }
    event.preventDefault();
  }

  function moveCursor(step: number): void {
    const inside = data.moments.flatMap((moment, index) =>
      moment >= shown[0] && moment <= shown[1] ? [index] : [],
    );
    const now = place === undefined ? (step > 0 ? -1 : inside.length) : inside.indexOf(place);
    const next = inside[Math.min(Math.max(now + step, 0), inside.length - 1)];
    const moment = next === undefined ? undefined : data.moments[next];
    if (plot.current !== null && moment !== undefined) {
      plot.current.setCursor({ left: plot.current.valToPos(moment / 1e6, "x"), top: 0 });
      setPlace(next);
    }
  }

  return (
    <figure className="chart" aria-label={label}>
      {onRange !== undefined && (
        <div className="chart-tools">
          <Button label="Earlier" onClick={() => change(panned(shown, -0.25, extent))}>
            ◂
          </Button>
          <Button label="Later" onClick={() => change(panned(shown, 0.25, extent))}>
            ▸
          </Button>
          <Button label="Zoom in" onClick={() => change(zoomed(shown, 0.5, extent, least))}>
            +
          </Button>
          <Button label="Zoom out" onClick={() => change(zoomed(shown, 2, extent, least))}>
            −
          </Button>
          <Button disabled={range === undefined} onClick={() => onRange(undefined)}>
            All
          </Button>
        </div>
      )}
      <div
        ref={frame}
        className="chart-plot"
        role="application"
        aria-roledescription="chart"
        aria-label={`${label}. The arrow keys read values, with Shift they pan; plus and minus zoom, 0 shows all.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
        tabIndex={0}
        onKeyDown={press}
        onBlur={() => setPlace(undefined)}
      />
      <ChartKey lines={lines} gaps={gaps} statuses={statuses} data={data} place={place} />
    </figure>
  );
}
