import { useRef, useState } from "react";
import { api } from "../../../api/client";
import { ApiProblem, asProblem } from "../../../api/problem";
import { useWritten } from "../panel/written";
import { useComposer } from "../state/context";
import { fileOf, type ViewsFile } from "../state/viewsFile";

export type Saving =
  | { readonly kind: "idle" }
  | { readonly kind: "busy" }
  | { readonly kind: "saved"; readonly commands: readonly string[] }
  | { readonly kind: "failed"; readonly problem: ApiProblem }
  /** Another program has written the file meanwhile: `theirs` is what it is now. */
  | { readonly kind: "conflict"; readonly theirs: ViewsFile };

export interface Save {
  readonly saving: Saving;
  readonly save: () => Promise<void>;
  /** Replaces the file, although others have changed it. */
  readonly overwrite: (theirs: ViewsFile) => Promise<void>;
  /** Gives up the own edits. */
  readonly take: (theirs: ViewsFile) => void;
  readonly close: () => void;
}

/** Saving of the written text. It is based on the file as it was read last; whoever saves second is told. */
export function useSave(): Save {
  const composer = useComposer();
  const written = useWritten();
  const [saving, setSaving] = useState<Saving>({ kind: "idle" });
  const newest = useRef(composer.editing.graph);
  newest.current = composer.editing.graph;

  async function put(basedOn: string): Promise<void> {
    setSaving({ kind: "busy" });
    const { text, graph, ids } = written;
    const edited = newest.current;
    try {
      const { data } = await api.PUT("/console/api/composer/file", { body: { text, based_on: basedOn } });
      if (data !== undefined) {
        composer.setFile({ ...composer.file, text, graph, sha256: data.sha256, problems: [], fault: null });
        if (newest.current === edited) {
          composer.dispatch({ type: "saved", text, graph, ids }); // later edits stay edits of the text before
        }
        setSaving({ kind: "saved", commands: data.commands });
      }
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === "VIEWS_FILE_CHANGED") {
        setSaving(await conflict());
      } else {
        setSaving({ kind: "failed", problem });
      }
    }
  }

  return {
    saving,
    save: () => put(composer.file.sha256),
    overwrite: (theirs) => put(theirs.sha256),
    take: (theirs) => {
      composer.setFile(theirs);
      composer.dispatch({ type: "rebase", text: theirs.text, graph: theirs.graph, ids: {} });
      composer.dispatch({ type: "problems", origin: "file", problems: theirs.problems });
      setSaving({ kind: "idle" });
    },
    close: () => setSaving({ kind: "idle" }),
  };
}

async function conflict(): Promise<Saving> {
  try {
    const { data } = await api.GET("/console/api/composer/file");
    if (data?.editable === true) {
      return { kind: "conflict", theirs: fileOf(data) };
    }
    const detail = data?.why_not ?? "The file cannot be read.";
    return {
      kind: "failed",
      problem: new ApiProblem({ status: 409, code: "VIEWS_FILE_CHANGED", detail, mend: "" }),
    };
  } catch (error) {
    return { kind: "failed", problem: asProblem(error) };
  }
}
