import { ApiProblem } from "../../../api/problem";
import type { components } from "../../../api/schema";
import { count, epsilon, rho } from "../../../design/format";
import { Problem } from "../../../design/Problem";

type Cost = components["schemas"]["Previewed"];

/** What a run would collect and charge, in words and numbers. */
export function RunCost({ cost, noise }: { cost: Cost; noise: "on" | "off" }) {
  const [day] = cost.epsilon;
  return (
    <div className="run-cost">
      {cost.refusal !== null && <Problem problem={new ApiProblem({ status: 409, ...cost.refusal })} />}
      {cost.views.length > 0 && (
        <ul>
          {cost.views.map((view) => (
            <li key={view.view}>
              <strong>{view.view}</strong>: {count(view.panes)} pane(s)
              {view.first_day !== null && `, ${view.first_day} … ${view.last_day}`}
              {view.already_open > 0 && `; ${count(view.already_open)} already published`}
              {view.days_not_over > 0 && `; ${count(view.days_not_over)} day(s) not over yet`}
            </li>
          ))}
        </ul>
      )}
      {cost.views.length > 0 && cost.panes === 0 && <p>There is nothing to collect.</p>}
      {cost.days > 0 && (
        <dl className="run-charges">
          <dt>Charged</dt>
          <dd>
            {count(cost.days)} day(s), at most ρ = {rho(cost.day_micro_rho)} each
          </dd>
          <dt>ε of a client-day</dt>
          <dd>
            {day === undefined || noise === "off"
              ? "no ε holds: the exact sums are published"
              : `${epsilon(day.outsiders)} against outsiders, ${epsilon(day.aggregator)} against an aggregator`}
          </dd>
          <dt>Left before</dt>
          <dd>
            {cost.least_left !== null &&
              `ρ = ${rho(cost.least_left.left_micro_rho)} of ${rho(cost.budget_micro_rho)} on ${cost.least_left.day}, the least of these days`}
          </dd>
        </dl>
      )}
      {cost.problems.length > 0 && (
        <>
          <p>These parts of the text are code, which the console does not execute:</p>
          <ul className="label-problems">
            {cost.problems.slice(0, 10).map((one) => (
              <li key={`${one.node}/${one.field}/${one.message}`}>
                {one.line > 0 && <strong>Line {one.line}: </strong>}
                {one.message}
              </li>
            ))}
          </ul>
          <p className="field-hint">
            Write them out, or let the operator start the console with <code>--trust-views</code> and save the
            file.
          </p>
        </>
      )}
    </div>
  );
}
