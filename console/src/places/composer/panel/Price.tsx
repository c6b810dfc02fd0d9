import type { components } from "../../../api/schema";
import { Badge } from "../../../design/Badge";
import { epsilon, rho } from "../../../design/format";

type Label = components["schemas"]["Label"];
type Cost = components["schemas"]["CostExplanation"];

const CAPTION = "ε of a client, by view and days";

/** What a client pays: ε of 1, 7 and 30 days, and the share of the budget that a day takes. */
export function Price({ label }: { label: Label }) {
  const views = label.views.map((one) => [one.view, one.cost] as const);
  const rows: readonly (readonly [string, Cost])[] =
    label.total === null || views.length === 1 ? views : [...views, ["all views", label.total]];
  const deltas = [...new Set(rows.map(([, cost]) => cost.delta))];
  const days = rows[0]?.[1].epsilon.map((claim) => claim.days) ?? [];
  return (
    <div className="price">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className="table-scroll" tabIndex={0} aria-label={CAPTION}>
        <table className="table">
          <caption className="visually-hidden">{CAPTION}</caption>
          <thead>
            <tr>
              <th scope="col">View</th>
              <th scope="col" className="numeric">
                ρ a day
              </th>
              {days.map((day) => (
                <th key={day} scope="col" className="numeric">
                  ε of <br /> {/* so that the name of a view has room on a phone */}
                  {day === 1 ? "a\u00a0day" : `${day}\u00a0days`}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, cost]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="numeric">{rho(cost.micro_rho)}</td>
                {cost.epsilon.map((claim) => (
                  <td key={claim.days} className="numeric">
                    <span className="price-pair">
                      {epsilon(claim.outsiders)} <strong>{epsilon(claim.aggregator)}</strong>
                    </span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <p className="field-hint">
        ε at δ = {deltas.map((delta) => delta.toExponential()).join(" or ")}
        {deltas.length > 1 && ", as each view says, in total the smallest"}: against outsiders, and{" "}
        <strong>against an aggregator</strong>, rounded up.
      </p>
      <Share label={label} />
    </div>
  );
}

function Share({ label }: { label: Label }) {
  const spent = label.total?.micro_rho ?? 0;
  const budget = label.budget_micro_rho;
  const over = label.over_budget_micro_rho;
  return (
    <p className="price-share">
      <meter
        min={0}
        max={budget}
        low={budget * 0.6}
        high={budget * 0.9}
        optimum={0}
        value={Math.min(spent, budget)}
        aria-label="Share of the budget of a day"
      />
      <span>
        ρ = {rho(spent)} of a day's budget of {rho(budget)}
      </span>
      {over > 0 && <Badge tone="bad">over by {rho(over)}</Badge>}
    </p>
  );
}
