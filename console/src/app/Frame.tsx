import type { ReactNode } from "react";
import icon from "./icon.svg";
import { hrefOf, PLACES, type Place, TITLES } from "./routes";

interface FrameProps {
  place?: Place;
  /** What stands beside the name. */
  top?: ReactNode;
  children: ReactNode;
}

/** On a narrow page the places scroll sideways; the present one is kept in sight. */
function inSight(link: HTMLElement | null): void {
  const row = link?.closest("nav");
  if (link && row) {
    row.scrollLeft = link.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
  }
}

/** The name of the page and the ways to its places, around one of them. `index.html` has the same, for the time before any code runs. */
export function Frame({ place, top, children }: FrameProps) {
  return (
    <div className="shell">
      <header className="shell-top">
        <span className="shell-name">
          <img src={icon} alt="" width={24} height={24} />
          Covey
        </span>
        {top}
      </header>
      <nav className="shell-places" aria-label="Places">
        <ul>
          {PLACES.map((one) => (
            <li key={one}>
              <a
                href={hrefOf(one)}
                aria-current={one === place ? "page" : undefined}
                ref={one === place ? inSight : undefined}
              >
                {TITLES[one]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {children}
    </div>
  );
}

/** The page before its session is open. */
export function OpeningPage() {
  return (
    <Frame>
      <main>
        <div className="spinner" role="status">
          <span className="spinner-sign" aria-hidden="true" />
          Opening the console …
        </div>
      </main>
    </Frame>
  );
}
