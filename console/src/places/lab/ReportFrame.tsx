import { useEffect, useRef } from "react";
import { Button } from "../../design/Button";
import { Card } from "../../design/Card";
import { reportUrl } from "./table";

/** A report in a frame that has no origin, runs no script, and asks no host. */
export function ReportFrame({ folder, onClose }: { folder: string; onClose: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another report is brought into view, too
  useEffect(() => place.current?.focus(), [folder]);
  return (
    <div ref={place} tabIndex={-1} className="lab-report-place">
      <Card
        title={`Report of ${folder}`}
        tools={
          <div className="page-tools">
            <a href={reportUrl(folder)} target="_blank" rel="noreferrer">
              Open in a tab of its own
            </a>
            <Button onClick={onClose}>Close</Button>
          </div>
        }
      >
        <iframe className="lab-report" title={`Report of ${folder}`} sandbox="" src={reportUrl(folder)} />
      </Card>
    </div>
  );
}
