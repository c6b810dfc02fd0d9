import { useState } from "react";
import { Select, TextField } from "../../../design/Field";
import { type Field as GraphField, type Json, literal } from "../graph/graph";
import type { PaletteField } from "../graph/palette";
import { CodeText } from "./CodeText";
import { Block } from "./editors";
import { readKeys, textOfKeys } from "./texts";

type Form = "list" | "range" | "file" | "code";

const RANGE = /^range\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)$/;
const FILE = /^Path\(__file__\)\.with_name\("([^"\\]+)"\)$/;

export function formOf(field: GraphField | undefined): Form {
  if (field === undefined || field.kind === "literal") {
    return "list";
  }
  return RANGE.test(field.text) ? "range" : FILE.test(field.text) ? "file" : "code";
}

interface DomainProps {
  field: PaletteField;
  value: GraphField | undefined;
  keys: number;
  error: string | undefined;
  onField: (field: GraphField) => void;
}

/** The join keys of an entity: a list, whole numbers from and to, a file beside the views file, or code. */
export function Domain({ field, value, keys, error, onField }: DomainProps) {
  const [chosen, setForm] = useState<Form>();
  const form = chosen ?? formOf(value);
  const code = value?.kind === "code" ? value.text : "";
  const literalKeys = value?.kind === "literal" ? value.value : undefined;
  const [opened] = useState(literalKeys); // what is written meanwhile may be a text by mistake
  const wrote = (given: Json) => onField(literal(given));
  return (
    <>
      <Select
        label="Join keys from"
        value={form}
        options={[
          ["list", "a list"],
          ["range", "a range of whole numbers"],
          ["file", "a file beside the views file"],
          ["code", "code"],
        ]}
        onChange={(next) => setForm(next as Form)}
      />
      {form === "list" && (
        <Block
          field={field}
          label="Join keys"
          hint={keys > 1 ? `One in each line: ${keys} values, separated by commas.` : "One in each line."}
          value={literalKeys}
          error={error}
          onValue={wrote}
          shown={textOfKeys}
          read={(text) => readKeys(text, Math.max(1, keys), opened)}
          rows={5}
        />
      )}
      {form === "range" && <Range code={code} error={error} onField={onField} />}
      {form === "file" && (
        <TextField
          label="File of join keys"
          hint="A .parquet or .csv file with the key columns, or a text file with one key in each line."
          error={error}
          mono
          value={FILE.exec(code)?.[1] ?? ""}
          onChange={(name) =>
            onField({ kind: "code", text: `Path(__file__).with_name("${name.replaceAll(/["\\]/g, "")}")` })
          }
        />
      )}
      {form === "code" && (
        <CodeText
          label="Join keys as Python"
          error={error}
          text={code}
          onText={(text) => onField({ kind: "code", text })}
        />
      )}
    </>
  );
}

function Range({
  code,
  error,
  onField,
}: {
  code: string;
  error: string | undefined;
  onField: (field: GraphField) => void;
}) {
  const [, from = "", to = ""] = RANGE.exec(code) ?? [];
  const [low, setLow] = useState(from);
  const [high, setHigh] = useState(to);

  function write(first: string, second: string): void {
    setLow(first);
    setHigh(second);
    const text = `range(${first.trim()}, ${second.trim()})`;
    if (RANGE.test(text)) {
      onField({ kind: "code", text });
    }
  }

  return (
    <div className="inspector-pair">
      <TextField label="From" mono value={low} error={error} onChange={(text) => write(text, high)} />
      <TextField label="Up to, without" mono value={high} onChange={(text) => write(low, text)} />
    </div>
  );
}
