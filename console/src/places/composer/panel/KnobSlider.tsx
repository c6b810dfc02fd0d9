import { useId } from "react";
import { number } from "../../../design/format";
import { type Scale, STEPS, stepOf, valueAt } from "./scale";

interface SliderProps {
  label: string;
  value: number;
  scale: Scale;
  onChange: (value: number) => void;
}

/** A slider and its value. */
export function KnobSlider({ label, value, scale, onChange }: SliderProps) {
  const id = useId();
  return (
    <div className="knob">
      <label htmlFor={id}>{label}</label>
      <output htmlFor={id}>{number(value)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        step={1}
        value={stepOf(scale, value)}
        aria-valuetext={number(value)}
        onChange={(event) => onChange(valueAt(scale, Number(event.target.value)))}
      />
    </div>
  );
}
