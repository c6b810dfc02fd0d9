// Numbers and times as the page writes them. Times are UTC, as everywhere in Covey.

/** Below it, a number is written with an exponent, as the commands do. */
const SMALL = 1e-4;

/** By significant digits. To make one takes 40 times as long as to use it, and a table uses hundreds. */
const FORMATS = new Map<number, Intl.NumberFormat>();

function formatOf(digits: number): Intl.NumberFormat {
  const kept = FORMATS.get(digits) ?? new Intl.NumberFormat("en", { maximumSignificantDigits: digits });
  FORMATS.set(digits, kept);
  return kept;
}

/** A number with so many significant digits, but never without a digit of its whole part: a count stays exact. */
export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  const size = Math.abs(value);
  if (size > 0 && size < SMALL) {
    return Number(value.toPrecision(digits)).toExponential();
  }
  const whole = size < 1 ? 0 : Math.floor(Math.log10(size)) + 1;
  return formatOf(Math.min(21, Math.max(digits, whole))).format(value);
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** A number of things: `1 key`, `2 keys`. */
export function counted(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** The last moment that a `Date` can be, µs. */
const LAST_US = 8.64e18;

/** µs since the epoch as `2013-05-01 14:00` (UTC), with seconds if there are any, without a time where it is midnight; as a number, if it has no date. */
export function moment(us: number | null | undefined): string {
  if (us === null || us === undefined) {
    return "–";
  }
  if (Math.abs(us) > LAST_US) {
    return `${us} µs`;
  }
  const [date = "", time = ""] = new Date(Math.floor(us / 1000)).toISOString().split("T");
  const short = time.slice(0, 8).replace(/:00$/, "");
  return short === "00:00" ? date : `${date} ${short}`;
}

/** As `moment`, to the microsecond where it is no whole second: when something was released decides which labels see it. */
export function instant(us: number | null | undefined): string {
  const part = us === null || us === undefined || Math.abs(us) > LAST_US ? 0 : ((us % 1e6) + 1e6) % 1e6;
  if (us === null || us === undefined || part === 0) {
    return moment(us);
  }
  const text = new Date(Math.floor((us - part) / 1000)).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)}.${String(part).padStart(6, "0")}`;
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
