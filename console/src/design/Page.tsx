import type { ReactNode } from "react";
import { WordsButton } from "./WordsButton";
import type { Word } from "./words";

interface PageProps {
  title: string;
  /** One sentence on what is shown. */
  lead?: ReactNode;
  /** Words of the place that a newcomer may not know. */
  words?: readonly Word[];
  /** Buttons and choices of the whole place. */
  tools?: ReactNode;
  children: ReactNode;
}

/** The frame of a place: heading, tools, content. */
export function Page({ title, lead, words, tools, children }: PageProps) {
  return (
    <div className="page">
      <div className="page-top">
        <h1>{title}</h1>
        {tools !== undefined && <div className="page-tools">{tools}</div>}
        {(lead !== undefined || words !== undefined) && (
          <p className="page-lead">
            {lead} {words !== undefined && <WordsButton of={words} />}
          </p>
        )}
      </div>
      {children}
    </div>
  );
}
