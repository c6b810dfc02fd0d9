import { useState } from "react";
import { Button } from "./Button";

interface CopyButtonProps {
  text: string;
  /** What is copied, for those who hear the button's name. */
  of: string;
}

const WORDS = { idle: "Copy", done: "Copied", refused: "Not copied" } as const;

/** Copies a text. The browser may refuse it, which the button then says. */
export function CopyButton({ text, of }: CopyButtonProps) {
  const [last, setLast] = useState<{ text: string; outcome: "done" | "refused" }>();
  const state = last?.text === text ? last.outcome : "idle"; // another text is not copied yet

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setLast({ text, outcome: "done" });
    } catch {
      setLast({ text, outcome: "refused" });
    }
  }

  return (
    <Button
      label={`${WORDS[state]}: ${of}`}
      title={
        state === "refused"
          ? "The browser does not allow it. Select the text and copy it by hand."
          : undefined
      }
      onClick={() => void copy()}
    >
      {WORDS[state]}
    </Button>
  );
}
