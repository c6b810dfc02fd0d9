// The options of uPlot for lines with error bands, shaded gaps, and a strip of statuses under each line.

import type uPlot from "uplot";
import { colour, seriesColour } from "../colours";
import { number } from "../format";
import { type Aligned, alone, type ChartGap, type ChartLine, type Range, runs } from "./lines";
import { statusColour } from "./statuses";
import { dateOf, TIMES } from "./times";

const SECOND = 1e6;
const STRIP_PX = 6;
const NARROW_PX = 4;
/** With at most so many points on a line, each has a bar of its own. */
const BARS_UP_TO = 60;

export interface PlotInput {
  lines: readonly ChartLine[];
  gaps: readonly ChartGap[];
  statuses: readonly string[];
  data: Aligned;
  range: Range | undefined;
  width: number;
  height: number;
  onCursor: (place: number | undefined) => void;
  onZoom: (range: Range) => void;
}

/** The height of the strips under the chart, in CSS pixels. */
export function stripsHeight(lines: readonly ChartLine[]): number {
  return lines.filter((line) => line.status?.some((code) => code !== 0)).length * (STRIP_PX + 2);
}

export function dataOf(data: Aligned): uPlot.AlignedData {
  return [data.moments.map((moment) => moment / SECOND), ...data.columns.flat()] as uPlot.AlignedData;
}

export function optionsOf(input: PlotInput): uPlot.Options {
  const { lines, data, range } = input;
  const text = colour("--text-2");
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: text, grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const hasRight = lines.some((line) => line.axis === "right");
  const values = (_: uPlot, splits: number[]) => splits.map((split) => number(split, 6));
  return {
    width: input.width,
    height: input.height,
    tzDate: dateOf,
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      focus: { prox: 24 },
    },
    padding: [8, hasRight ? 0 : 20, stripsHeight(lines), 0],
    scales: {
      x: {
        time: true,
        ...(range === undefined ? {} : { min: range[0] / SECOND, max: range[1] / SECOND, auto: false }),
      },
    },
    axes: [
      { ...axis, values: TIMES },
      { ...axis, scale: "left", size: 64, values },
      ...(hasRight
        ? [{ ...axis, scale: "right", side: 1 as const, size: 64, values, grid: { show: false } }]
        : []),
    ],
    series: [{}, ...lines.flatMap((line, index) => seriesOf(line, data.columns[index]?.[2] ?? []))],
    bands: lines.map((line, index) => ({
      series: [3 * index + 2, 3 * index + 1] as [number, number],
      fill: translucent(colour(seriesColour(line.colour)), 0.18),
    })),
    hooks: {
      drawClear: [(plot) => drawGaps(plot, input.gaps)],
      draw: [(plot) => drawBars(plot, lines, data), (plot) => drawStrips(plot, input)],
      setCursor: [(plot) => input.onCursor(plot.cursor.idx ?? undefined)],
      setSelect: [
        (plot) => {
          if (plot.select.width > 4) {
            const [left, right] = [plot.select.left, plot.select.left + plot.select.width];
            input.onZoom([
              Math.round(plot.posToVal(left, "x") * SECOND),
              Math.round(plot.posToVal(right, "x") * SECOND),
            ]);
          }
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function seriesOf(line: ChartLine, values: (number | null | undefined)[]): uPlot.Series[] {
  const scale = line.axis ?? "left";
  const stroke = colour(seriesColour(line.colour));
  const single = alone(values);
  const edge = { scale, stroke: "transparent", width: 0, points: { show: false } };
  return [
    { ...edge, label: `${line.label}, low` },
    { ...edge, label: `${line.label}, high` },
    {
      label: line.label,
      scale,
      stroke,
      width: 1.5,
      ...(line.dashed ? { dash: [6, 4] } : {}),
      points: {
        size: 4,
        fill: stroke,
        filter: (_, __, show) => (show ? null : single),
      },
    },
  ];
}

function drawGaps(plot: uPlot, gaps: readonly ChartGap[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const gap of gaps) {
    const left = Math.max(bbox.left, plot.valToPos(gap.start / SECOND, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(gap.end / SECOND, "x", true));
    if (right > left) {
      ctx.fillStyle = translucent(colour(gap.kind === "void" ? "--text-2" : "--bad"), 0.16);
      // many narrow gaps side by side would hide the lines: they are marked at the top only
      const high =
        right - left < NARROW_PX * devicePixelRatio ? 2 * STRIP_PX * devicePixelRatio : bbox.height;
      ctx.fillRect(left, bbox.top, Math.max(1, right - left), high);
    }
  }
  ctx.restore();
}

/** The interval of points that no band shows: those that stand alone, and all of a line with few points. */
function drawBars(plot: uPlot, lines: readonly ChartLine[], data: Aligned): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const [index, line] of lines.entries()) {
    const [low = [], high = [], value = []] = data.columns[index] ?? [];
    const scale = line.axis ?? "left";
    const places = line.moments.length <= BARS_UP_TO ? (data.places[index] ?? []) : alone(value);
    ctx.strokeStyle = colour(seriesColour(line.colour));
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    for (const place of places) {
      const [from, to, moment] = [low[place], high[place], data.moments[place]];
      if (typeof from === "number" && typeof to === "number" && moment !== undefined) {
        const x = Math.round(plot.valToPos(moment / SECOND, "x", true)) + 0.5;
        ctx.moveTo(x, plot.valToPos(from, scale, true));
        ctx.lineTo(x, plot.valToPos(to, scale, true));
      }
    }
    ctx.stroke();
  }
  ctx.restore();
}

/** Under the time axis, one strip a line: the status of each point that is not OK. */
function drawStrips(plot: uPlot, { lines, statuses, height }: PlotInput): void {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  const marked = lines.filter((line) => line.status?.some((code) => code !== 0));
  ctx.save();
  for (const [row, line] of marked.entries()) {
    const top = (height - (marked.length - row) * (STRIP_PX + 2) + 2) * pixel;
    ctx.fillStyle = colour(seriesColour(line.colour));
    ctx.fillRect(bbox.left - 12 * pixel, top, 8 * pixel, STRIP_PX * pixel);
    const width = widthOf(line.moments);
    for (const [code, first, last] of runs(line.status ?? [])) {
      const left = Math.max(bbox.left, plot.valToPos((line.moments[first] ?? 0) / SECOND, "x", true));
      const end = ((line.moments[last] ?? 0) + width) / SECOND;
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(end, "x", true));
      if (right > left) {
        ctx.fillStyle = colour(statusColour(statuses[code] ?? ""));
        ctx.fillRect(left, top, Math.max(1, right - left), STRIP_PX * pixel);
      }
    }
  }
  ctx.restore();
}

/** The least distance of two moments: the width of a pane. */
function widthOf(moments: readonly number[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 1; i < moments.length; i++) {
    least = Math.min(least, (moments[i] ?? 0) - (moments[i - 1] ?? 0));
  }
  return Number.isFinite(least) ? least : 3600 * SECOND;
}

/** An `rgb(…)` of `colour` with an opacity. */
export function translucent(rgb: string, opacity: number): string {
  return rgb.startsWith("rgb(") ? rgb.replace("rgb(", "rgba(").replace(")", `, ${opacity})`) : rgb;
}
