import { hrefOf, navigate, useRoute } from "../../app/routes";
import { Page } from "../../design/Page";
import { Tabs } from "../../design/Tabs";
import "./budgets.css";
import { Ledgers } from "./Ledgers";
import { WhatIf } from "./WhatIf";

const TABS = [
  ["ledgers", "Ledgers"],
  ["what-if", "What if"],
] as const;

export default function Budgets() {
  const part = useRoute().path[0] === "what-if" ? "what-if" : "ledgers";
  return (
    <Page
      title="Budgets"
      words={["client_day", "rho", "epsilon", "delta", "outsiders", "aggregator", "budget", "ledger", "pane"]}
      lead="What each client-day was charged, what is left of its budget, and what was refused. A budget is of one UTC day, and each day has its own."
    >
      <Tabs
        label="Parts of budgets"
        tabs={TABS}
        chosen={part}
        onChoose={(key) => navigate(hrefOf("budgets", key === "ledgers" ? [] : [key]))}
      >
        <div className="stack">{part === "ledgers" ? <Ledgers /> : <WhatIf />}</div>
      </Tabs>
    </Page>
  );
}
