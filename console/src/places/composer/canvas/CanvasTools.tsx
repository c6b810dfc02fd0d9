import { Panel, useReactFlow } from "@xyflow/react";
import { Button } from "../../../design/Button";

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
      <Button title="Show the whole graph" onClick={() => void canvas.fitView({ padding: 0.08, maxZoom: 1 })}>
        Fit
      </Button>
      <Button title="Put every card back into its layer" onClick={onArrange}>
        Arrange
      </Button>
    </Panel>
  );
}
