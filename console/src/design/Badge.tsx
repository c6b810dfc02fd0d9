import type { ReactNode } from "react";

export type Tone = "plain" | "good" | "warn" | "bad";

/** A state in one word. Its tone only repeats what the word says. */
export function Badge({ children, tone = "plain" }: { children: ReactNode; tone?: Tone }) {
  return <span className={`badge badge-${tone}`}>{children}</span>;
}
