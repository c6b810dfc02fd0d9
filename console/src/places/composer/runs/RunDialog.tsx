import { useState } from "react";
import { $api, api, queries } from "../../../api/client";
import { type ApiProblem, asProblem } from "../../../api/problem";
import { Button } from "../../../design/Button";
import { Command } from "../../../design/Command";
import { Dialog } from "../../../design/Dialog";
import { Checkbox, Select, TextField } from "../../../design/Field";
import { Loaded } from "../../../design/Loaded";
import { Problem } from "../../../design/Problem";
import { useSettled } from "../../../design/useSettled";
import { titleOf } from "../graph/graph";
import { shownView } from "../panel/shownView";
import { SETTLE_MS } from "../panel/written";
import { useComposer } from "../state/context";
import { RunCost } from "./RunCost";

type Noise = "on" | "off";

/** Asks before a run: what it collects, what it costs a client, what is left, and the command that does the same. */
export function RunDialog({ text, onClose }: { text: string; onClose: () => void }) {
  const { editing, file } = useComposer();
  const isSaved = text === file.text;
  const names = editing.graph.nodes.filter((node) => node.kind === "view").map(titleOf);
  const shown = shownView(editing);
  const [chosen, setChosen] = useState<readonly string[]>(shown === undefined ? names : [titleOf(shown)]);
  const [start, setStart] = useState("");
  const [end, setEnd] = useState("");
  const [noise, setNoise] = useState<Noise>("on");
  const [budget, setBudget] = useState("0.1");
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  const asked = {
    text,
    views: [...chosen],
    start: start === "" ? null : start,
    end: end === "" ? null : end,
    noise,
    budget,
  };
  const settled = useSettled(JSON.stringify(asked), SETTLE_MS);
  const isSettled = settled === JSON.stringify(asked);
  const query = $api.useQuery(
    "post",
    "/console/api/composer/runs/preview",
    { body: JSON.parse(settled) as typeof asked },
    { enabled: chosen.length > 0, staleTime: 0, gcTime: 0, refetchOnWindowFocus: false, retry: false },
  );
  const found = query.data;
  const isReady = found !== undefined && isSettled && found.refusal === null && found.panes > 0 && !isBusy;

  async function run(): Promise<void> {
    setBusy(true);
    setProblem(undefined);
    try {
      await api.POST("/console/api/composer/runs", { body: { ...asked, confirmed: true } });
      await queries.invalidateQueries({ queryKey: ["get", "/console/api/composer/runs"] });
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  }

  return (
    <Dialog
      title="Run in process"
      onClose={onClose}
      actions={
        <Button kind="danger" disabled={!isReady} onClick={() => void run()}>
          {noise === "on" ? "Spend the budget and run" : "Run without noise"}
        </Button>
      }
    >
      <fieldset className="run-views">
        <legend>Views</legend>
        {names.map((name) => (
          <Checkbox
            key={name}
            label={name}
            checked={chosen.includes(name)}
            onChange={(on) => setChosen(names.filter((one) => (one === name ? on : chosen.includes(one))))}
          />
        ))}
      </fieldset>
      <div className="run-terms">
        <TextField label="From (UTC)" type="date" value={start} onChange={setStart} />
        <TextField label="To, not included" type="date" value={end} onChange={setEnd} />
        <TextField label="Budget of a client-day, ρ" value={budget} onChange={setBudget} />
        <Select
          label="Noise"
          value={noise}
          options={[
            ["on", "with noise"],
            ["off", "without: the exact sums are published"],
          ]}
          onChange={(value) => setNoise(value === "off" ? "off" : "on")}
        />
      </div>
      <p className="field-hint">Without dates, all ended days that hold events are collected.</p>
      {chosen.length === 0 ? (
        <p>Choose a view to collect.</p>
      ) : (
        <Loaded query={query} label="what the run would cost">
          {(data) => (
            <>
              <RunCost cost={data} noise={noise} />
              <Command
                about={isSaved ? "The same as a command" : "The same as a command, once the file is saved"}
              >
                {data.command}
              </Command>
            </>
          )}
        </Loaded>
      )}
      {problem !== undefined && <Problem problem={problem} />}
    </Dialog>
  );
}
