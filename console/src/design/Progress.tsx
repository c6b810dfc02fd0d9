/** Work whose end is not known. */
export function Spinner({ label }: { label: string }) {
  return (
    <div className="spinner" role="status">
      <span className="spinner-sign" aria-hidden="true" />
      {label} …
    </div>
  );
}

/** Work whose end is known. */
export function ProgressBar({ label, done, total }: { label: string; done: number; total: number }) {
  return (
    <div className="progress">
      <span>{label}</span>
      <progress value={done} max={Math.max(1, total)} aria-label={label} />
      <span className="progress-count">
        {done.toLocaleString("en")} of {total.toLocaleString("en")}
      </span>
    </div>
  );
}
