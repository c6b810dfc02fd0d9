import { Field } from "../../../design/Field";

interface CodeTextProps {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  text: string;
  onText: (text: string) => void;
  disabled?: boolean;
}

/** An expression or statements of Python, as text. Tab leaves it. */
export function CodeText({ label, hint, error, text, onText, disabled }: CodeTextProps) {
  const rows = Math.min(24, Math.max(2, text.split("\n").length + 1));
  return (
    <Field label={label} hint={hint} error={error}>
      {({ id, describedBy, invalid }) => (
        <textarea
          id={id}
          className="input mono inspector-code"
          rows={rows}
          wrap="off"
          spellCheck={false}
          value={text}
          disabled={disabled}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => onText(event.target.value)}
        />
      )}
    </Field>
  );
}
