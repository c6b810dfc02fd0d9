// Numbers and times as the page writes them. Times are UTC, as everywhere in Covey.

/** A number with at most so many significant digits. */
export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** The last moment that a `Date` can be, µs. */
const LAST_US = 8.64e18;

/** µs since the epoch as `2013-05-01 14:00` (UTC), without a time where it is midnight; as a number, if it has no date. */
export function moment(us: number | null | undefined): string {
  if (us === null || us === undefined) {
    return "–";
  }
  if (Math.abs(us) > LAST_US) {
    return `${us} µs`;
  }
  const text = new Date(us / 1000).toISOString();
  return text.slice(11, 16) === "00:00" ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}

/** An ε with two decimals, rounded up from its shortest decimal text, as the command line writes it. */
export function epsilon(value: number): string {
  const near = Number(value.toFixed(2));
  return (near >= value ? near : near + 0.01).toFixed(2);
}

/** A micro-ρ as ρ, with all of its digits. */
export function rho(micro: number): string {
  return (micro / 1e6).toLocaleString("en", { maximumFractionDigits: 6 });
}
