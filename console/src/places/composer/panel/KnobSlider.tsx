import { useId } from "react";
import { count, number } from "../../../design/format";
import { movedTo, type Scale, STEPS, stepOf } from "./scale";

interface SliderProps {
  label: string;
  value: number;
  scale: Scale;
  /** Only whole numbers. */
  whole: boolean;
  onChange: (value: number) => void;
}

/** A slider and its value. */
export function KnobSlider({ label, value, scale, whole, onChange }: SliderProps) {
  const id = useId();
  const shown = whole ? count(value) : number(value, 6);
  return (
    <div className="knob">
      <label htmlFor={id}>{label}</label>
      <output htmlFor={id}>{shown}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        step={1}
        value={stepOf(scale, value)}
        aria-valuetext={shown}
        onChange={(event) => onChange(movedTo(scale, value, Number(event.target.value), whole))}
      />
    </div>
  );
}
