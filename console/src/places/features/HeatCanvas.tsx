import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef } from "react";
import { statusColour } from "../../design/chart/statuses";
import { colour } from "../../design/colours";
import { moment } from "../../design/format";
import { useColours } from "../../design/useColours";
import { useWidth } from "../../design/useWidth";
import { type HeatMap, type Mode, type Palette, pixels, rgbOf, type Scale } from "./heat";

export interface Cell {
  /** The place of the key in the map, and of the pane. */
  key: number;
  pane: number;
}

interface HeatCanvasProps {
  map: HeatMap;
  mode: Mode;
  scale: Scale;
  order: readonly number[];
  label: string;
  chosen: Cell | undefined;
  onCell: (cell: Cell | undefined) => void;
  onOpen: (cell: Cell) => void;
}

const TOP = 6;
const BOTTOM = 24;
const FONT = 12;

/** A heat map on a canvas. The mouse or the arrow keys choose a cell; a click or Enter opens its key. */
export function HeatCanvas({ map, mode, scale, order, label, chosen, onCell, onOpen }: HeatCanvasProps) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(frame);
  const theme = useColours();
  const row = Math.max(3, Math.min(18, Math.round(560 / Math.max(1, order.length))));
  const height = row * order.length;
  const left = useMemo(() => labelsWidth(map.keys), [map]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes the colours that the canvas reads
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (canvas.current !== null && context && width > left) {
      canvas.current.width = width * devicePixelRatio;
      canvas.current.height = (height + TOP + BOTTOM) * devicePixelRatio;
      context.scale(devicePixelRatio, devicePixelRatio);
      context.translate(0, TOP);
      draw(context, { map, mode, scale, order, left, width: width - left, height, row });
    }
  }, [map, mode, scale, order, left, width, height, row, theme]);

  function cellAt(event: MouseEvent): Cell | undefined {
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - left, event.clientY - box.top - TOP];
    const pane = Math.floor((x / (width - left)) * map.moments.length);
    const key = order[Math.floor(y / row)];
    return x < 0 || y < 0 || pane >= map.moments.length || key === undefined ? undefined : { key, pane };
  }

  function press(event: KeyboardEvent): void {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Enter" && chosen !== undefined) {
      onOpen(chosen);
    } else if (step !== undefined) {
      const [down = 0, right = 0] = step;
      const at = chosen === undefined ? 0 : order.indexOf(chosen.key) + down;
      const pane = chosen === undefined ? map.moments.length - 1 : chosen.pane + right;
      const key = order[Math.min(Math.max(at, 0), order.length - 1)];
      if (key !== undefined) {
        onCell({ key, pane: Math.min(Math.max(pane, 0), map.moments.length - 1) });
      }
    } else {
      return;
    }
    event.preventDefault();
  }

  const mark =
    chosen === undefined || map.moments.length === 0
      ? undefined
      : {
          left: left + (chosen.pane * (width - left)) / map.moments.length - 1,
          top: order.indexOf(chosen.key) * row - 1 + TOP,
          width: Math.max(3, (width - left) / map.moments.length) + 2,
          height: row + 2,
        };
  return (
    <div ref={frame} className="features-heat">
      <div
        role="application"
        aria-roledescription="heat map"
        aria-label={`${label}. The arrow keys choose a cell, Enter opens its key. The table has the same keys.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys read the map as the mouse does
        tabIndex={0}
        onKeyDown={press}
        onMouseMove={(event) => onCell(cellAt(event))}
        onMouseLeave={() => onCell(undefined)}
        onClick={(event) => {
          const cell = cellAt(event);
          if (cell !== undefined) {
            onOpen(cell);
          }
        }}
      >
        <canvas ref={canvas} style={{ width, height: height + TOP + BOTTOM }} />
        {mark !== undefined && <div className="features-heat-mark" style={mark} />}
      </div>
    </div>
  );
}

interface Drawing {
  map: HeatMap;
  mode: Mode;
  scale: Scale;
  order: readonly number[];
  /** The width of the labels of the keys. */
  left: number;
  width: number;
  height: number;
  row: number;
}

function draw(context: CanvasRenderingContext2D, drawing: Drawing): void {
  const { map, mode, scale, order, left, width, height, row } = drawing;
  context.clearRect(0, -TOP, width + left, height + TOP + BOTTOM);
  context.font = `${FONT}px system-ui, sans-serif`;
  context.fillStyle = colour("--text-2");
  context.textBaseline = "middle";
  const every = Math.ceil((FONT + 1) / row);
  for (let at = 0; at < order.length; at += every) {
    const text = map.keys[order[at] ?? 0] ?? "";
    context.fillText(shortened(text), 0, at * row + row / 2, left - 8);
  }
  if (map.moments.length === 0) {
    return;
  }
  const image = document.createElement("canvas");
  image.width = map.moments.length;
  image.height = order.length;
  const data = new ImageData(
    pixels(map, mode, scale, paletteOf(map.statuses), order),
    map.moments.length,
    order.length,
  );
  image.getContext("2d")?.putImageData(data, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, left, 0, width, height);
  context.textBaseline = "bottom";
  const labels = Math.max(2, Math.min(6, Math.floor(width / 140)));
  for (let i = 0; i < labels; i++) {
    const pane = Math.round((i * (map.moments.length - 1)) / (labels - 1));
    context.textAlign = i === 0 ? "left" : i === labels - 1 ? "right" : "center";
    const x = left + (i * width) / (labels - 1);
    context.fillText(moment(map.moments[pane]), x, height + BOTTOM - 4);
  }
  context.textAlign = "left";
}

/** The width of the longest label, in CSS pixels. */
function labelsWidth(keys: readonly string[]): number {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) {
    return 88;
  }
  context.font = `${FONT}px system-ui, sans-serif`;
  return 12 + Math.ceil(Math.max(20, ...keys.map((key) => context.measureText(shortened(key)).width)));
}

function shortened(key: string): string {
  return key.length > 12 ? `${key.slice(0, 11)}…` : key;
}

/** The colours of the present theme. */
export function paletteOf(statuses: readonly string[]): Palette {
  return {
    ground: rgbOf(colour("--heat-none")),
    low: rgbOf(colour("--series-3")),
    middle: rgbOf(colour("--heat-middle")),
    high: rgbOf(colour("--series-1")),
    statuses: statuses.map((one) => rgbOf(colour(one === "OK" ? "--accent-soft" : statusColour(one)))),
  };
}
