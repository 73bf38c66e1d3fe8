/** Kinds of events of the simulator. */
export const EVENT = {
  tick: 0,
  deliver: 1,
  written: 2,
  applied: 3,
  ready: 4,
  action: 5,
  restart: 6,
  resume: 7,
  heal: 8,
  reply: 9,
  patience: 10,
  report: 11,
  operator: 12,
  answered: 13,
} as const;

/** Name of a kind of event. */
export function eventName(kind: number): string {
  for (const [name, value] of Object.entries(EVENT)) if (value === kind) return name;
  return `event ${kind}`;
}
