import { Panel, useReactFlow } from "@xyflow/react";
import { Button } from "../../../design/Button";

/** The whole graph in sight, above the buttons. */
export const WHOLE = {
  padding: { top: "16px", x: "16px", bottom: "64px" },
  minZoom: 0.1,
  maxZoom: 1,
} as const;

interface CanvasToolsProps {
  onArrange: () => void;
  isWide: boolean;
  onWide: (isWide: boolean) => void;
}

/** The buttons on the canvas: what is seen of it. */
export function CanvasTools({ onArrange, isWide, onWide }: CanvasToolsProps) {
  const canvas = useReactFlow();
  return (
    <Panel position="bottom-left" className="canvas-tools">
      <Button label="Zoom out" title="Zoom out" onClick={() => void canvas.zoomOut()}>
        −
      </Button>
      <Button label="Zoom in" title="Zoom in" onClick={() => void canvas.zoomIn()}>
        +
      </Button>
      <Button title="Show the whole graph" onClick={() => void canvas.fitView(WHOLE)}>
        Fit
      </Button>
      <Button title="Put every card back into its layer" onClick={onArrange}>
        Arrange
      </Button>
      <span className="canvas-wide">
        <Button
          pressed={isWide}
          title="Give the canvas the whole width, and put the rest below it"
          onClick={() => onWide(!isWide)}
        >
          Wide
        </Button>
      </span>
    </Panel>
  );
}
