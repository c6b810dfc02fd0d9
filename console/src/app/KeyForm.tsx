import { useState } from "react";
import type { ApiProblem } from "../api/problem";
import { Button } from "../design/Button";
import { TextField } from "../design/Field";
import { Problem } from "../design/Problem";

/** Asks for an API key, where the server needs one. */
export function KeyForm({ problem, onKey }: { problem: ApiProblem; onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  return (
    <main className="key-form">
      <h1>Covey console</h1>
      {problem.code === "KEY_NEEDED" ? (
        <p>This console is opened with an API key of its store. The key decides what you may do.</p>
      ) : (
        <Problem problem={problem} />
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onKey(key);
        }}
      >
        <TextField
          label="API key"
          type="password"
          value={key}
          onChange={setKey}
          hint="The operator of the store makes one: `covey consumers add NAME --role reader|author|operator`"
        />
        <Button type="submit" kind="primary" disabled={key === ""}>
          Open
        </Button>
      </form>
    </main>
  );
}
