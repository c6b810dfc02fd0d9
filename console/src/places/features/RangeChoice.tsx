import { Button } from "../../design/Button";
import { TextField } from "../../design/Field";
import type { ViewForm } from "./freshness";
import { momentText, PRESETS, parseMoment, presetRange, type ViewState } from "./state";

interface RangeChoiceProps {
  view: ViewForm;
  state: ViewState;
  change: (part: Partial<ViewState>) => void;
}

/** The time that is read: presets up to the newest pane, or any two moments. */
export function RangeChoice({ view, state, change }: RangeChoiceProps) {
  const end = view.newest_end;
  const first = view.first_start;
  if (end === null || first === null) {
    return null;
  }
  return (
    <div className="features-range">
      <fieldset className="features-presets">
        <legend className="field-label">Time</legend>
        {PRESETS.filter(([, width]) => width < end - first).map(([name, width]) => (
          <Button
            key={name}
            pressed={state.to === undefined && state.from === end - width}
            onClick={() => change(presetRange(width, end))}
          >
            {name}
          </Button>
        ))}
        <Button
          pressed={state.from === undefined && state.to === undefined}
          onClick={() => change({ from: undefined, to: undefined })}
        >
          All
        </Button>
      </fieldset>
      <Time label="From (UTC)" value={state.from ?? first} onChange={(from) => change({ from })} />
      <Time label="To (UTC)" value={state.to ?? end} onChange={(to) => change({ to })} />
    </div>
  );
}

function Time({ label, value, onChange }: { label: string; value: number; onChange: (us: number) => void }) {
  return (
    <TextField
      label={label}
      type="datetime-local"
      value={localText(value)}
      onChange={(text) => {
        const us = parseMoment(text);
        if (us !== undefined) {
          onChange(us);
        }
      }}
    />
  );
}

/** The text that an input of date and time takes, in UTC. */
function localText(us: number): string {
  const text = momentText(us);
  return text.length === 10 ? `${text}T00:00` : text.replace("Z", "");
}
