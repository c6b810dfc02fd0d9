import { type KeyboardEvent, type ReactNode, useId, useRef } from "react";

interface TabsProps {
  label: string;
  /** (key, title) of each tab. */
  tabs: readonly (readonly [string, string])[];
  chosen: string;
  onChoose: (key: string) => void;
  children: ReactNode;
}

/** Tabs and the panel of the chosen one (ARIA tabs; the arrow keys choose). */
export function Tabs({ label, tabs, chosen, onChoose, children }: TabsProps) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);

  function press(event: KeyboardEvent): void {
    const now = tabs.findIndex(([key]) => key === chosen);
    const next = {
      ArrowRight: (now + 1) % tabs.length,
      ArrowLeft: (now - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      onChoose(tabs[next]?.[0] ?? chosen);
      list.current?.querySelectorAll<HTMLElement>("[role=tab]")[next]?.focus();
    }
  }

  return (
    <div className="tabs">
      <div role="tablist" aria-label={label} className="tabs-list" ref={list} onKeyDown={press}>
        {tabs.map(([key, title]) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`${id}-${key}`}
            aria-selected={key === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={key === chosen ? 0 : -1}
            className="tabs-tab"
            onClick={() => onChoose(key)}
          >
            {title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`} className="tabs-panel">
        {children}
      </div>
    </div>
  );
}
