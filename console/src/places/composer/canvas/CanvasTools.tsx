import { Panel, useReactFlow } from "@xyflow/react";
import { Button } from "../../../design/Button";

/** The whole graph in sight, above the buttons. */
export const WHOLE = {
  padding: { top: "16px", x: "16px", bottom: "64px" },
  minZoom: 0.1,
  maxZoom: 1,
} as const;

/** The buttons on the canvas: what is seen of it. */
export function CanvasTools({ onArrange }: { onArrange: () => void }) {
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
    </Panel>
  );
}
