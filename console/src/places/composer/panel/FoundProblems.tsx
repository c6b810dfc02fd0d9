import type { GraphProblem } from "../graph/graph";

const MAX_SHOWN = 20;

/** What is wrong with a text, each with its line. */
export function FoundProblems({ problems }: { problems: readonly GraphProblem[] }) {
  return (
    <ul className="label-problems">
      {problems.slice(0, MAX_SHOWN).map((one) => (
        <li key={`${one.node}/${one.field}/${one.message}`}>
          {(one.line ?? 0) > 0 && <strong>Line {one.line}: </strong>}
          {one.message}
        </li>
      ))}
    </ul>
  );
}
