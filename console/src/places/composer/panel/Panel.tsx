import { useState } from "react";
import { Tabs } from "../../../design/Tabs";
import { RunPanel } from "../runs/RunPanel";
import { SaveBar } from "../save/SaveBar";
import { LabelPanel } from "./LabelPanel";
import { PythonPanel } from "./PythonPanel";
import { useLabel } from "./useLabel";
import { WrittenProvider } from "./written";
import "./panel.css";

const TABS = [
  ["label", "Privacy label"],
  ["python", "Python"],
  ["runs", "Runs"],
] as const;

/** What the graph means: its price and errors, its Python, and its runs. */
export function Panel() {
  return (
    <WrittenProvider>
      <section className="panel" aria-label="What the graph means">
        <SaveBar />
        <PanelTabs />
      </section>
    </WrittenProvider>
  );
}

function PanelTabs() {
  const [chosen, choose] = useState<string>("label");
  const explained = useLabel();
  return (
    <Tabs label="What the graph means" tabs={TABS} chosen={chosen} onChoose={choose}>
      {chosen === "label" && <LabelPanel explained={explained} />}
      {chosen === "python" && <PythonPanel />}
      {chosen === "runs" && <RunPanel />}
    </Tabs>
  );
}
