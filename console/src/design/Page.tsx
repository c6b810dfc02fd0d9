import type { ReactNode } from "react";

interface PageProps {
  title: string;
  /** One sentence on what is shown. */
  lead?: ReactNode;
  /** Buttons and choices of the whole place. */
  tools?: ReactNode;
  children: ReactNode;
}

/** The frame of a place: heading, tools, content. */
export function Page({ title, lead, tools, children }: PageProps) {
  return (
    <div className="page">
      <div className="page-top">
        <h1>{title}</h1>
        {tools !== undefined && <div className="page-tools">{tools}</div>}
        {lead !== undefined && <p className="page-lead">{lead}</p>}
      </div>
      {children}
    </div>
  );
}
