// The first sentence of what a field means.

/** A word that begins a sentence with a capital; symbols and names such as `k` and `zCDP` stay as they are. */
const WORD = /^(?:a\b|[a-z]{2})/;

export function hintOf(help: string): string {
  const end = /[.;](\s|$)/.exec(help);
  const sentence = end === null ? help : help.slice(0, end.index + 1).replace(/;$/, ".");
  return WORD.test(sentence) ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : sentence;
}
