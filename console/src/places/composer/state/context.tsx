// What every part of the composer shares: the editing state, the file, the events' columns and the palette.

import {
  createContext,
  type Dispatch,
  type ReactNode,
  use,
  useCallback,
  useEffect,
  useMemo,
  useReducer,
  useState,
} from "react";
import type { GraphProblem } from "../graph/graph";
import type { Join } from "../graph/joins";
import type { Palette } from "../graph/palette";
import type { Source } from "../graph/sources";
import { type Action, type Editing, NOTHING, reduce } from "./editing";
import { type Draft, keep, keptOf } from "./kept";
import type { ViewsFile } from "./viewsFile";

export interface Composer {
  readonly editing: Editing;
  readonly problems: readonly GraphProblem[];
  readonly file: ViewsFile;
  readonly sources: readonly Source[];
  readonly palette: Palette;
  readonly dispatch: Dispatch<Action>;
  /** The file was read or written: what later saves are based on. It does not touch what is edited. */
  readonly setFile: (file: ViewsFile) => void;
  /** The text that is edited by hand; undefined: none is. */
  readonly draft: Draft | undefined;
  readonly setDraft: (draft: Draft | undefined) => void;
  /** Applies a join, or says why it is refused. */
  readonly apply: (join: Join) => void;
  /** The dialog of the canvas and the outline that is open. */
  readonly dialog: ComposerDialog;
  readonly setDialog: (dialog: ComposerDialog) => void;
}

export type ComposerDialog = "none" | "help" | "join";

const ComposerContext = createContext<Composer | undefined>(undefined);

export function useComposer(): Composer {
  const composer = use(ComposerContext);
  if (composer === undefined) {
    throw new Error("useComposer needs a ComposerProvider around it");
  }
  return composer;
}

interface ProviderProps {
  file: ViewsFile;
  sources: readonly Source[];
  palette: Palette;
  children: ReactNode;
}

export function ComposerProvider({ file: read, sources, palette, children }: ProviderProps) {
  const [first] = useState(() => keptOf(read) ?? { file: read, editing: opened(read), draft: undefined });
  const [file, setFile] = useState(first.file);
  const [editing, dispatch] = useReducer(reduce, first.editing);
  const [draft, setDraft] = useState(first.draft);
  useEffect(() => keep({ file, editing, draft }), [file, editing, draft]);
  const apply = useCallback((join: Join) => {
    dispatch(
      join.kind === "joined"
        ? { type: "edit", graph: join.graph, says: join.says }
        : { type: "say", says: join.why },
    );
  }, []);
  const [dialog, setDialog] = useState<ComposerDialog>("none");
  const problems = useMemo(() => Object.values(editing.problems).flat(), [editing.problems]);
  const composer = useMemo(
    () => ({
      editing,
      problems,
      file,
      sources,
      palette,
      dispatch,
      setFile,
      draft,
      setDraft,
      apply,
      dialog,
      setDialog,
    }),
    [editing, problems, file, sources, palette, draft, apply, dialog],
  );
  return <ComposerContext value={composer}>{children}</ComposerContext>;
}

function opened(file: ViewsFile): Editing {
  const loaded = reduce(NOTHING, { type: "load", text: file.text, graph: file.graph });
  return reduce(loaded, { type: "problems", origin: "file", problems: file.problems });
}
