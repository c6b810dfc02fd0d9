// Words that the page uses, each with its meaning in one or two sentences. docs/glossary.md has all words.

export const WORDS = {
  client: ["client", "One person, device, store or plane whose events are private."],
  client_day: ["client-day", "All events of one client in one UTC day. It has a budget of its own."],
  rho: [
    "ρ (rho)",
    "The price of a client-day in privacy. The prices of all that is collected about one day add up. It is the parameter of zero-concentrated differential privacy.",
  ],
  epsilon: [
    "ε (epsilon)",
    "The same price in the usual measure of differential privacy, rounded up: a client's events change the chance of any result by at most a factor of e to the power of ε. Smaller is more private.",
  ],
  delta: ["δ (delta)", "The chance that the promise of ε may fail, such as one in a million."],
  outsiders: [
    "against outsiders",
    "What those can learn who see releases only. They face the noise of both aggregators.",
  ],
  aggregator: [
    "against an aggregator",
    "What one of the two aggregators can learn. It knows its own noise, so ε is larger than against outsiders.",
  ],
  budget: [
    "budget",
    "The most ρ that a client-day may cost over all views. A collection that costs more is refused.",
  ],
  ledger: [
    "ledger",
    "The record of what each client-day was charged. The operator keeps one, and so does each site.",
  ],
  k: ["k", "The least number of clients in a pane. A pane with fewer is not opened."],
  clip: ["clip", "The interval that each value is limited to. A narrow one needs less noise."],
  pane: ["pane", "One of the equal intervals that divide the UTC day, such as an hour. Each is opened once."],
  window: ["window", "A sum over the newest panes, such as those of 7 days. It costs no privacy."],
  opened: ["opened", "The pane has noised values, which both aggregators have released."],
  void: ["void", "A signed decision, with a reason, that a pane has no values."],
  retracted: ["retracted", "A release that was taken back later. What was read before stays as it was."],
  freed: [
    "freed",
    "A plan that was given up before its panes were opened, as both aggregators have signed. Its panes are due again.",
  ],
  release: [
    "release",
    "The noised result of one pane with its manifest: the only thing that a store accepts.",
  ],
  plan: [
    "plan",
    "The signed terms of collections: views, panes, noise, keys and the deadline of the answers.",
  ],
  error: [
    "standard error",
    "How far noise usually moves a value. The 95 % interval holds the value without noise 95 times in 100.",
  ],
  coverage: ["coverage", "The share of the enrolled clients whose sites are counted in a pane."],
  drift: [
    "drift",
    "The newest panes differ from the past of their view by more than noise and usual variation explain.",
  ],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type Word = keyof typeof WORDS;

export const ALL_WORDS = Object.keys(WORDS).filter(isWord);

function isWord(key: string): key is Word {
  return key in WORDS;
}
