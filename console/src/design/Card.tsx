import { type ReactNode, useId } from "react";

interface CardProps {
  title: string;
  tools?: ReactNode;
  children: ReactNode;
}

/** A part of a place with a heading of its own. */
export function Card({ title, tools, children }: CardProps) {
  const heading = useId();
  return (
    <section className="card" aria-labelledby={heading}>
      <div className="card-top">
        <h2 id={heading}>{title}</h2>
        {tools}
      </div>
      {children}
    </section>
  );
}
