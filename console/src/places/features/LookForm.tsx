import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { $api, api } from "../../api/client";
import { asProblem } from "../../api/problem";
import { Button } from "../../design/Button";
import { Empty } from "../../design/Empty";
import { Select, TextField } from "../../design/Field";
import { Problem } from "../../design/Problem";
import { LookAnswer } from "./LookAnswer";
import { allRefs, keyParts, refsOf } from "./look";
import { momentText, parseMoment } from "./state";

interface LookFormProps {
  /** The references at the beginning. */
  refs: readonly string[];
  service: string | undefined;
  /** The join keys at the beginning; the first one is used. */
  keys: readonly string[];
  /** The moment at the beginning, µs. */
  moment: number | undefined;
}

/** Asks what a label at a moment saw: the join of `covey join` with one label. */
export function LookForm({ refs, service: given, keys, moment }: LookFormProps) {
  const [service, setService] = useState(given ?? "");
  const [text, setText] = useState(refs.join(" "));
  const [columns, setColumns] = useState<Record<string, string>>({});
  const [at, setAt] = useState(
    moment === undefined ? "" : momentText(moment).replace("T", " ").replace("Z", ""),
  );
  const features = refsOf(text);
  const { data: all } = $api.useQuery("get", "/console/api/features");
  const asked = service === "" ? { features } : { features: [], service };
  const needed = $api.useQuery(
    "post",
    "/console/api/features/needed",
    { body: asked },
    { enabled: service !== "" || features.length > 0, retry: false },
  );
  const found = useMutation({
    mutationFn: async (when: number) => {
      const row = Object.fromEntries(names.map((name) => [name, values[name] ?? ""]));
      const { data } = await api.POST("/console/api/features/look", {
        body: { ...asked, rows: [row], moment: when },
      });
      return data;
    },
  });
  const names = needed.data?.columns.map((one) => one.name) ?? [];
  const joinKeys = needed.data?.columns.filter((one) => !one.is_input).map((one) => one.name) ?? [];
  const [first] = keys;
  const values: Record<string, string> = {
    ...(first === undefined ? {} : keyParts(first, joinKeys)),
    ...columns,
  };
  const when = parseMoment(at);
  const isComplete = needed.data !== undefined && when !== undefined && names.every((name) => values[name]);

  function ask(event: FormEvent): void {
    event.preventDefault();
    if (when !== undefined) {
      found.mutate(when);
    }
  }

  return (
    <div className="features-values">
      <form className="features-look" onSubmit={ask}>
        {all !== undefined && all.services.length > 0 && (
          <Select
            label="Service"
            value={service}
            options={[["", "single features"], ...all.services.map((one) => [one.name, one.name] as const)]}
            onChange={setService}
          />
        )}
        {service === "" && (
          <TextField
            label="Features"
            hint="References such as `dest_delay:late_7d`, also of on-demand views, separated by blanks."
            value={text}
            mono
            onChange={setText}
          />
        )}
        {service === "" && all !== undefined && (
          <Select
            label="Add a feature"
            value=""
            options={[
              ["", "choose a feature"],
              ...allRefs(all)
                .filter((ref) => !features.includes(ref))
                .map((ref) => [ref, ref] as const),
            ]}
            onChange={(ref) => setText([...features, ref].join(" "))}
          />
        )}
        {needed.data?.columns.map((one) => (
          <TextField
            key={one.name}
            label={one.is_input ? `${one.name} (input, ${one.type})` : `${one.name} (${one.type})`}
            value={values[one.name] ?? ""}
            onChange={(value) => setColumns({ ...columns, [one.name]: value })}
          />
        ))}
        <TextField
          label="Moment of the label (UTC)"
          hint="Such as `2013-05-01 14:30`, also with seconds and up to six decimals."
          value={at}
          onChange={setAt}
          {...(at !== "" && when === undefined ? { error: "This is no time." } : {})}
        />
        <div className="features-look-ask">
          <Button type="submit" kind="primary" disabled={!isComplete || found.isPending}>
            Look
          </Button>
        </div>
      </form>
      {needed.error ? <Problem problem={asProblem(needed.error)} /> : null}
      {found.error ? <Problem problem={asProblem(found.error)} /> : null}
      {found.data === undefined ? (
        <Empty>
          {all?.views.length === 0
            ? "The store has no view yet, so there is nothing to look at. The place Features says how to get one."
            : "The answer has only what was released at the moment of the label, as a trainer's join would."}
        </Empty>
      ) : (
        <LookAnswer look={found.data} />
      )}
    </div>
  );
}
