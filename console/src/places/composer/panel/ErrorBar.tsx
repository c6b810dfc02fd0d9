import { number } from "../../../design/format";
import { type Bar, barOf, type Expected } from "./errorBars";

interface ErrorBarProps {
  label: string;
  expected: Expected;
  scale: readonly [number, number];
}

const WIDTH = 200;

/** The assumed value and its 95 % interval, drawn and in words. */
export function ErrorBar({ label, expected, scale }: ErrorBarProps) {
  const bar = barOf(expected, scale);
  const said = inWords(expected);
  return (
    <div className="error-bar">
      <svg viewBox={`0 0 ${WIDTH} 16`} role="img" aria-label={`${label}: ${said}`} preserveAspectRatio="none">
        <line className="error-bar-scale" x1={0} x2={WIDTH} y1={8} y2={8} />
        {bar !== undefined && <Drawn bar={bar} drowned={expected.drowned} />}
      </svg>
      <span className={expected.drowned ? "error-bar-text is-drowned" : "error-bar-text"}>{said}</span>
    </div>
  );
}

function Drawn({ bar, drowned }: { bar: Bar; drowned: boolean }) {
  const low = bar.low * WIDTH;
  const width = Math.max((bar.high - bar.low) * WIDTH, 2);
  return (
    <>
      <rect
        className={drowned ? "error-bar-band is-drowned" : "error-bar-band"}
        x={Math.min(low, WIDTH - width)}
        y={3}
        width={width}
        height={10}
      />
      <rect
        className="error-bar-value"
        x={Math.min(bar.value * WIDTH, WIDTH - 2)}
        y={1}
        width={2}
        height={14}
      />
    </>
  );
}

function inWords(expected: Expected): string {
  if (expected.value === null || expected.se === null) {
    return "no value: noise drowns it";
  }
  const text = `${number(expected.value, 3)} ± ${number(expected.se, 3)}`;
  return expected.drowned ? `${text}, drowned by noise` : text;
}
