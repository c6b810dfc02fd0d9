import { type DiffLine, shownLines } from "./lines";

const SAID = { same: "", added: "added: ", removed: "removed: ", folded: "" } as const;
const SIGN = { same: " ", added: "+", removed: "−", folded: " " } as const;

/** A text with its changed lines marked, by a sign as well as a colour. */
export function DiffView({
  diff,
  label,
  fold = false,
}: {
  diff: readonly DiffLine[];
  label: string;
  fold?: boolean;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by the keyboard
    <section className="diff" aria-label={label} tabIndex={0}>
      <pre>
        {shownLines(diff, fold).map((line) => (
          <span key={line.key} className={`diff-line diff-${line.kind}`}>
            <span className="diff-number" aria-hidden="true">
              {line.number ?? ""}
            </span>
            <span className="diff-sign" aria-hidden="true">
              {SIGN[line.kind]}
            </span>
            <span className="visually-hidden">{SAID[line.kind]}</span>
            <code>{line.text}</code>
            {"\n"}
          </span>
        ))}
      </pre>
    </section>
  );
}
