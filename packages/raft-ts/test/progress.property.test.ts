import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Inflights } from '../src/inflights.js';
import { Progress } from '../src/progress.js';

/** What happened to a progress, in order; only what had an effect. */
type Event =
  | { readonly kind: 'enter'; readonly state: Progress['state']; readonly next: number }
  | { readonly kind: 'forget'; readonly next: number }
  | { readonly kind: 'sent'; readonly last: number; readonly count: number; readonly bytes: number }
  | { readonly kind: 'acked'; readonly index: number }
  | { readonly kind: 'freed'; readonly index: number }
  | { readonly kind: 'back'; readonly next: number };

const LIMITS = { maxInflightMsgs: 3, maxInflightBytes: 40 };

/** A progress as a list of what happened; every question is answered by reading all of it. */
class Model {
  readonly events: Event[] = [{ kind: 'forget', next: 10 }];

  /** Events since the state was entered, with the one that entered it. */
  #present(): readonly Event[] {
    const at = this.events.findLastIndex(({ kind }) => kind === 'enter' || kind === 'forget');
    return this.events.slice(at);
  }

  get state(): Progress['state'] {
    const [first] = this.#present();
    return first?.kind === 'enter' ? first.state : 'StateProbe';
  }

  get match(): number {
    const reset = this.events.findLastIndex(({ kind }) => kind === 'forget');
    const acked = this.events.slice(reset).map((e) => (e.kind === 'acked' ? e.index : 0));
    return Math.max(...acked);
  }

  get next(): number {
    let next = 0;
    for (const event of this.#present()) {
      if (event.kind === 'acked') next = Math.max(next, event.index + 1);
      else if (event.kind === 'sent') next = Math.max(next, event.last + 1);
      else if (event.kind !== 'freed') next = event.next;
    }
    return next;
  }

  /** Appends of the window after the first events. */
  #window(events: readonly Event[]): readonly { readonly bytes: number }[] {
    return events.flatMap((event, at) => {
      if (event.kind !== 'sent' || event.count === 0) return [];
      const later = events.slice(at + 1);
      return later.some((e) => e.kind === 'freed' && e.index >= event.last) ? [] : [event];
    });
  }

  #isFull(events: readonly Event[]): boolean {
    const window = this.#window(events);
    const bytes = window.reduce((sum, one) => sum + one.bytes, 0);
    return window.length >= LIMITS.maxInflightMsgs || bytes >= LIMITS.maxInflightBytes;
  }

  get count(): number {
    return this.state === 'StateReplicate' ? this.#window(this.#present()).length : 0;
  }

  get full(): boolean {
    return this.state === 'StateReplicate' && this.#isFull(this.#present());
  }

  /** Whether the last thing that matters is an append after which nothing more may be sent. */
  get paused(): boolean {
    if (this.state === 'StateSnapshot') return true;
    const events = this.#present();
    const isReplicating = this.state === 'StateReplicate';
    const last = events.findLastIndex(
      (event) =>
        event.kind === 'acked' ||
        (event.kind === 'back' && !isReplicating) ||
        (event.kind === 'sent' && (isReplicating || event.count > 0)),
    );
    const event = events[last];
    if (event?.kind !== 'sent') return false;
    return !isReplicating || this.#isFull(events.slice(0, last + 1));
  }
}

type Step = { readonly kind: number; readonly a: number; readonly b: number };

/** Does one thing to both. */
function act(p: Progress, model: Model, { kind, a, b }: Step): void {
  const { match, next, state, paused } = model;
  switch (kind) {
    case 0:
      p.becomeProbe();
      model.events.push({ kind: 'enter', state: 'StateProbe', next: probeFrom(model) });
      break;
    case 1:
      p.becomeReplicate();
      model.events.push({ kind: 'enter', state: 'StateReplicate', next: match + 1 });
      break;
    case 2:
      p.becomeSnapshot(match + a);
      model.events.push({ kind: 'enter', state: 'StateSnapshot', next: match + a + 1 });
      break;
    case 3:
      p.reset(a, a + b + 1);
      model.events.push({ kind: 'forget', next: a + b + 1 });
      if (a > 0) model.events.splice(-1, 1, ...forgotten(a, a + b + 1));
      break;
    case 4: {
      if (paused) break;
      const count = model.full ? 0 : a % 3;
      p.sentEntries(count, count === 0 ? 0 : b);
      const last = state === 'StateReplicate' ? next + count - 1 : next - 1;
      model.events.push({ kind: 'sent', last, count, bytes: count === 0 ? 0 : b });
      break;
    }
    case 5:
      expect(p.maybeUpdate(a)).toBe(a > match);
      if (a > match) model.events.push({ kind: 'acked', index: a });
      break;
    case 6: {
      const isAbout = state === 'StateReplicate' ? a > match : a === next - 1;
      expect(p.maybeDecreaseTo(a, b)).toBe(isAbout);
      const lower = state === 'StateReplicate' ? match + 1 : Math.min(a, b + 1);
      if (isAbout) model.events.push({ kind: 'back', next: Math.max(lower, match + 1) });
      break;
    }
    default:
      p.inflights.freeTo(a);
      model.events.push({ kind: 'freed', index: a });
  }
}

/** A new leadership that knows something already: that of the leader about itself. */
function forgotten(match: number, next: number): Event[] {
  return [
    { kind: 'forget', next },
    { kind: 'acked', index: match },
    { kind: 'enter', state: 'StateProbe', next },
  ];
}

/** Behind a snapshot that is on its way, or behind what is known to agree. */
function probeFrom(model: Model): number {
  const entered = model.events.findLast(({ kind }) => kind === 'enter' || kind === 'forget');
  const isPending = entered?.kind === 'enter' && entered.state === 'StateSnapshot';
  return Math.max(model.match + 1, isPending ? entered.next : 0);
}

test('progress is what its history says', () => {
  // Windows fill up only when much is sent between two changes of the state.
  const kind = fc.constantFrom(0, 1, 1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 6, 7);
  const step = fc.record({ kind, a: fc.nat(30), b: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const p = new Progress(10, false, new Inflights(LIMITS));
      const model = new Model();
      for (const one of steps) {
        act(p, model, one);
        const { state, match, next, paused, count, full } = model;
        const { inflights, ...known } = p.view();
        expect(known).toMatchObject({ state, match, next, paused });
        expect(inflights).toMatchObject({ count, full });
      }
    }),
    { numRuns: 500 },
  );
});
