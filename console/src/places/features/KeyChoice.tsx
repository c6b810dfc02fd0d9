import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { $api } from "../../api/client";
import { Button } from "../../design/Button";
import { Combobox } from "../../design/Combobox";
import { counted } from "../../design/format";

/** How many keys are offered at once. */
export const OFFERED = 30;

interface KeyChoiceProps {
  view: string;
  keys: readonly string[];
  /** How many more may be chosen. */
  free: number;
  onChange: (keys: string[]) => void;
}

/** The keys that are compared; a search finds others among up to a million. */
export function KeyChoice({ view, keys, free, onChange }: KeyChoiceProps) {
  const [text, setText] = useState("");
  const { data } = $api.useQuery(
    "get",
    "/console/api/features/{view}/keys",
    { params: { path: { view }, query: { text, most: OFFERED } } },
    { placeholderData: keepPreviousData },
  );
  const offered = (data?.keys ?? []).filter((one) => !keys.includes(one));
  const known = data?.keys.includes(text) ?? false;
  return (
    <div className="features-choice">
      <Combobox
        label="Add a key"
        value={text}
        options={free > 0 ? offered : []}
        placeholder={data === undefined ? "" : `search ${counted(data.total, "key")}`}
        hint={
          free > 0
            ? data?.more && text !== ""
              ? "There are more keys; write more of the name."
              : undefined
            : "A chart has at most 8 lines."
        }
        error={
          data !== undefined && text !== "" && data.keys.length === 0
            ? "No key contains this text."
            : undefined
        }
        disabled={free <= 0}
        onChange={setText}
        onChoose={(chosen) => {
          if (offered.includes(chosen) || (known && !keys.includes(chosen))) {
            onChange([...keys, chosen]);
            setText("");
          }
        }}
      />
      <Chips label="Keys" chosen={keys} onRemove={(one) => onChange(keys.filter((key) => key !== one))} />
    </div>
  );
}

interface ChipsProps {
  label: string;
  chosen: readonly string[];
  onRemove: (one: string) => void;
}

/** What is chosen, each with a button that takes it away. The last one stays. */
export function Chips({ label, chosen, onRemove }: ChipsProps) {
  return (
    <ul className="features-chips" aria-label={label}>
      {chosen.map((one) => (
        <li key={one}>
          <span>{one}</span>
          {chosen.length > 1 && (
            <Button label={`Remove ${one}`} onClick={() => onRemove(one)}>
              ×
            </Button>
          )}
        </li>
      ))}
    </ul>
  );
}
