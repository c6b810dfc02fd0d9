import type { ReactNode } from "react";
import { Canvas } from "./canvas/Canvas";
import { Inspector } from "./inspector/Inspector";
import { HelpDialog } from "./outline/HelpDialog";
import { JoinDialog } from "./outline/JoinDialog";
import { Outline } from "./outline/Outline";
import { Parts } from "./palette/Parts";
import { useComposer } from "./state/context";
import { useRootKeys } from "./state/rootKeys";
import { useWide } from "./state/wide";
import { Toolbar } from "./Toolbar";
import "./composer.css";

/**
 * Palette, outline, fields and canvas, and what the graph means: beside the canvas where there is room, else below it. A wide
 * canvas has all others below it.
 */
export function Workbench({ children }: { children?: ReactNode }) {
  const { editing, dialog } = useComposer();
  const [isWide, setWide] = useWide();
  useRootKeys();
  return (
    <div className={isWide ? "workbench workbench-wide" : "workbench"}>
      <div className="workbench-top">
        <Parts />
        <Toolbar />
      </div>
      <div className="workbench-side">
        <Outline />
        <Inspector />
      </div>
      <div className="workbench-main">
        <Canvas isWide={isWide} onWide={setWide} />
        <p className="workbench-said" role="status">
          {editing.said}
        </p>
      </div>
      <div className="workbench-panel">{children}</div>
      {dialog === "help" && <HelpDialog />}
      {dialog === "join" && <JoinDialog />}
    </div>
  );
}
