import { Select } from "../../design/Field";
import type { ViewForm } from "./freshness";
import { Chips } from "./KeyChoice";
import { partsOf } from "./state";
import { isList } from "./useSeries";

interface FeatureChoiceProps {
  view: ViewForm;
  features: readonly string[];
  cell: number;
  /** How many more may be compared; undefined: none are compared here. */
  free: number | undefined;
  onChange: (features: string[]) => void;
  onCell: (cell: number) => void;
}

/** The feature that is shown, those that are compared with it (windows, versions), and the cell of a histogram. */
export function FeatureChoice({ view, features, cell, free, onChange, onCell }: FeatureChoiceProps) {
  const [first = ""] = features;
  const names = view.features.map((one) => one.name);
  const others = [...names, ...view.elsewhere].filter((one) => !features.includes(one));
  const lists = features.map((one) => partsOf(one).name).filter((one) => isList(view, one));
  const cells = view.features.find((one) => one.name === lists[0])?.cells ?? [];
  return (
    <div className="features-choice">
      <Select
        label="Feature"
        value={first}
        options={[...new Set([first, ...names])].map((name) => [name, name] as const)}
        onChange={(name) => onChange([name, ...features.slice(1).filter((one) => one !== name)])}
      />
      {cells.length > 0 && (
        <Select
          label="Cell of the histogram"
          value={String(Math.min(cell, cells.length - 1))}
          options={cells.map((text, index) => [String(index), text] as const)}
          onChange={(value) => onCell(Number(value))}
        />
      )}
      {free !== undefined && (
        <Select
          label="Compare with"
          value=""
          disabled={free <= 0 || others.length === 0}
          options={[
            ["", "choose a feature, window or version"],
            ...others.map((name) => [name, name] as const),
          ]}
          onChange={(name) => name !== "" && onChange([...features, name])}
        />
      )}
      {features.length > 1 && (
        <Chips
          label="Features"
          chosen={features}
          onRemove={(one) => onChange(features.filter((feature) => feature !== one))}
        />
      )}
    </div>
  );
}
