import { type KeyboardEvent, type MouseEvent, memo, useEffect, useMemo, useRef, useState } from "react";
import { INSPECTOR_ID } from "../canvas/keys";
import { reorder } from "../graph/edits";
import { useComposer } from "../state/context";
import { type TreeRow, treeRows } from "./tree";
import "./outline.css";

/** The graph as a tree, in which everything can be done by keyboard that the canvas does by mouse. */
export function Outline() {
  const { editing, sources, problems, dispatch } = useComposer();
  const { graph, selection } = editing;
  const [closed, setClosed] = useState<ReadonlySet<string>>(
    () => new Set(sources.map(({ id }) => `source:${id}`)),
  );
  const rows = useMemo(() => treeRows(graph, sources, closed), [graph, sources, closed]);
  const wrong = useMemo(() => new Set(problems.map((problem) => problem.node)), [problems]);
  const [focused, setFocused] = useState("");
  const tree = useRef<HTMLDivElement>(null);
  const chosen = new Set(selection);
  const current =
    rows.find((row) => row.key === focused && (chosen.size === 0 || chosen.has(row.id))) ??
    rows.find((row) => chosen.has(row.id)) ??
    rows[0];

  const hadFocus = useRef(false);
  useEffect(() => {
    if (hadFocus.current && document.activeElement === document.body && rows.length > 0) {
      tree.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus(); // the row that had the focus was deleted
    }
  }, [rows]);

  function go(row: TreeRow | undefined, adds = false): void {
    if (row === undefined) {
      return;
    }
    setFocused(row.key);
    dispatch({ type: "select", ids: adds ? [...new Set([...selection, row.id])] : [row.id] });
    tree.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`)?.focus();
  }

  function rowOf(target: EventTarget): TreeRow | undefined {
    const key =
      target instanceof Element ? target.closest<HTMLElement>("[data-key]")?.dataset.key : undefined;
    return rows.find((row) => row.key === key);
  }

  function toggle(row: TreeRow): void {
    const next = new Set(closed);
    if (!next.delete(row.key)) {
      next.add(row.key);
    }
    setClosed(next);
  }

  function press(event: KeyboardEvent): void {
    const row = rowOf(event.target);
    if (row === undefined || event.ctrlKey || event.metaKey) {
      return;
    }
    const at = rows.indexOf(row);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined && event.altKey) {
      moveAmong(row, by);
    } else if (by !== undefined) {
      go(rows[at + by], event.shiftKey);
    } else if (event.key === "Home" || event.key === "End") {
      go(event.key === "Home" ? rows[0] : rows.at(-1));
    } else if (event.key === "ArrowRight") {
      row.open === false ? toggle(row) : row.open === true && go(rows[at + 1]);
    } else if (event.key === "ArrowLeft") {
      row.open === true ? toggle(row) : go(rows.slice(0, at).findLast((one) => one.level < row.level));
    } else if (event.key === "Enter" || event.key === " ") {
      go(row);
      document.getElementById(INSPECTOR_ID)?.focus();
    } else {
      return;
    }
    event.preventDefault();
  }

  function click(event: MouseEvent): void {
    const row = rowOf(event.target);
    if (row?.open !== undefined && chosen.has(row.id)) {
      toggle(row);
    }
    go(row, event.ctrlKey || event.metaKey);
  }

  function moveAmong(row: TreeRow, by: number): void {
    if (row.among !== undefined) {
      const { owner, field } = row.among;
      const says = `${row.title} moved ${by < 0 ? "up" : "down"}`;
      dispatch({ type: "edit", graph: reorder(graph, owner, field, row.id, by), says });
    }
  }

  return (
    <section className="outline" aria-label="Outline">
      <h2 className="outline-title">Outline</h2>
      <div
        role="tree"
        aria-label="Parts of the views file"
        aria-multiselectable="true"
        ref={tree}
        onKeyDown={press}
        onFocus={() => {
          hadFocus.current = true;
        }}
        onBlur={(event) => {
          hadFocus.current = event.relatedTarget === null && !event.target.isConnected;
        }}
        onClick={click}
      >
        {rows.map((row) => (
          <Item
            key={row.key}
            name={row.key}
            level={row.level}
            word={row.word}
            title={row.title}
            open={row.open}
            position={row.position}
            siblings={row.siblings}
            isChosen={chosen.has(row.id)}
            isWrong={wrong.has(row.id)}
            isCurrent={row === current}
          />
        ))}
      </div>
      {rows.length === sources.length && (
        <p className="outline-empty">The file has no views yet. Add one with the buttons above.</p>
      )}
    </section>
  );
}

interface ItemProps extends Pick<TreeRow, "level" | "word" | "title" | "open" | "position" | "siblings"> {
  name: string;
  isChosen: boolean;
  isWrong: boolean;
  isCurrent: boolean;
}

const Item = memo(function Item(row: ItemProps) {
  return (
    <div
      role="treeitem"
      data-key={row.name}
      className={`outline-row${row.isWrong ? " outline-wrong" : ""}`}
      style={{ paddingInlineStart: `${row.level * 0.9 - 0.4}rem` }}
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-expanded={row.open}
      aria-selected={row.isChosen}
      tabIndex={row.isCurrent ? 0 : -1}
    >
      <span className="outline-sign" aria-hidden="true">
        {row.open === undefined ? "" : row.open ? "▾" : "▸"}
      </span>
      <span className="outline-word">{row.word}</span>
      <span className="outline-name">{row.title}</span>
      {row.isWrong && <span className="outline-mark">, has a problem</span>}
    </div>
  );
});
