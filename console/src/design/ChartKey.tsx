import { type Aligned, type ChartGap, type ChartLine, lastAt } from "./chart/lines";
import { meaningOf, statusColour } from "./chart/statuses";
import { seriesColour } from "./colours";
import { moment, number } from "./format";

interface ChartKeyProps {
  lines: readonly ChartLine[];
  gaps: readonly ChartGap[];
  statuses: readonly string[];
  data: Aligned;
  /** Where the cursor is on the time axis; undefined: the newest values are read out. */
  place: number | undefined;
}

/** Which line is which, with its value at the cursor; and what the shades and strips mean. */
export function ChartKey({ lines, gaps, statuses, data, place }: ChartKeyProps) {
  const at = place ?? data.moments.length - 1;
  const time = data.moments[at];
  const gap = gaps.find((one) => time !== undefined && one.start <= time && time < one.end);
  const codes = new Set(lines.flatMap((line) => [...new Set(line.status ?? [])]));
  const marks = statuses.filter((_, code) => code !== 0 && codes.has(code));
  const kinds = [...new Set(gaps.map((one) => one.kind))];
  return (
    <figcaption className="chart-key">
      <p className="chart-time">
        {time === undefined
          ? "No values"
          : `${place === undefined ? "Newest: " : ""}${moment(time)}${gap === undefined ? "" : ` – ${gap.kind}: ${gap.reason}`}`}
      </p>
      <ul aria-live={place === undefined ? "off" : "polite"}>
        {lines.map((line, index) => (
          <li key={line.id}>
            <i
              className={line.dashed ? "chart-swatch chart-swatch-dashed" : "chart-swatch"}
              style={{ color: `var(${seriesColour(line.colour)})` }}
            />
            <span>{line.label}</span>
            <span className="chart-value">{readOut(line, data.places[index] ?? [], at, statuses)}</span>
          </li>
        ))}
      </ul>
      {marks.length + kinds.length > 0 && (
        <ul className="chart-marks">
          {marks.map((status) => (
            <li key={status}>
              <i className="chart-block" style={{ background: `var(${statusColour(status)})` }} />
              {status}: {meaningOf(status)}
            </li>
          ))}
          {kinds.map((kind) => (
            <li key={kind}>
              <i className={`chart-block chart-shade-${kind}`} />
              {kind === "void" ? "Shaded: the pane was not opened" : "Shaded: the pane was retracted"}
            </li>
          ))}
        </ul>
      )}
    </figcaption>
  );
}

/** `3.2 (1.9 to 4.4)`, or the status that says why there is no value. */
function readOut(
  line: ChartLine,
  places: readonly number[],
  place: number,
  statuses: readonly string[],
): string {
  const point = lastAt(places, place);
  if (point < 0 || places[point] !== place) {
    return "–";
  }
  const value = line.value[point];
  const status = statuses[line.status?.[point] ?? 0] ?? "";
  if (value === null || value === undefined) {
    return status === "" ? "–" : status;
  }
  const [low, high] = [line.low?.[point], line.high?.[point]];
  const interval =
    typeof low === "number" && typeof high === "number" ? ` (${number(low)} to ${number(high)})` : "";
  return `${number(value)}${interval}${status === "" || status === "OK" ? "" : ` ${status}`}`;
}
