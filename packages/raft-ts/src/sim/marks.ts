import type { Logger, LogLevel } from '../config.js';
import type { Coverage } from './coverage.js';
import { Situations, situationNames } from './situations.js';

/**
 * Situations that the core puts into words, by the number of their rule in the list of rules. The
 * text is a part of the line.
 */
const MARKS: readonly (readonly [mark: string, text: string])[] = [
  ['rule 1: vote granted', ' cast MsgVote for '],
  ['rule 1: vote refused', ' rejected MsgVote from '],
  ['rule 6: pre-vote granted', ' cast MsgPreVote for '],
  ['rule 6: pre-vote refused', ' rejected MsgPreVote from '],
  ['rule 11: vote answer', 'received MsgVoteResp from '],
  ['rule 12: pre-vote answer of a later term', 'received a MsgPreVoteResp message with higher'],
  ['rule 17: not promotable', ' is unpromotable and can not campaign'],
  ['rule 17: unapplied change', 'pending configuration changes to apply'],
  ['rule 18: lease protects', 'lease is not expired'],
  ['rule 18: asked to take over', 'and starts an election to get leadership'],
  ['rule 18: candidate was asked to take over', 'ignored MsgTimeoutNow'],
  ['rule 19: leader forgotten', 'forgetting leader'],
  ['rule 19: quorum is silent', 'since quorum is not active'],
  ['rule 23: conflict', 'found conflict at index'],
  ['rule 23: unstable tail cut', 'truncate the unstable entries'],
  ['rule 23: unstable tail replaced', 'replace the unstable entries'],
  ['rule 26: append rejected', 'received MsgAppResp(rejected'],
  ['rule 26: probe goes back', 'decreased progress of'],
  ['rule 32: write of an earlier term', 'ignored entry appends from a MsgStorageAppendResp'],
  ['rule 32: write of replaced entry', 'mismatched with entry'],
  ['rule 36: write of missing entry', 'missing from unstable log'],
  ['rule 38: second change', 'possible unapplied conf change'],
  ['rule 39: change while joint', 'must transition out of joint config first'],
  ['rule 39: nothing to leave', 'refusing empty conf change'],
  ['rule 45: automatic leave', 'initiating automatic transition'],
  ['rule 45: automatic leave refused', 'not initiating automatic transition'],
  ['rule 50: snapshot lost', 'snapshot failed, resumed'],
  ['rule 50: snapshot delivered', 'snapshot succeeded, resumed'],
  ['rule 50: log takes over', 'recovered from needing snapshot'],
  ['rule 51: no snapshot for the silent', 'since it is not recently active'],
  ['rule 52: snapshot restored', ' restored snapshot ['],
  ['rule 52: snapshot ignored', ' ignored snapshot ['],
  ['rule 52: fast-forward', 'fast-forwarded commit to snapshot'],
  ['rule 55: unreachable', 'because it is unreachable'],
  ['rule 60: refused during transfer', 'is in progress; dropping proposal'],
  ['rule 60: transfer starts', 'starts to transfer leadership'],
  ['rule 60: transfer replaced', 'abort previous transferring leadership'],
  ['rule 60: transfer after catching up', 'after received MsgAppResp'],
  ['rule 61: too much uncommitted', 'exceed uncommitted entry size limit'],
  ['rule 50: snapshot not at hand', 'snapshot is temporarily unavailable'],
];

/** All marks there are. */
export function markNames(): readonly string[] {
  const number = (mark: string): number => Number.parseInt(mark.slice('rule '.length), 10);
  const names = [...MARKS.map(([mark]) => mark), ...situationNames()];
  return [...new Set(names)].sort((a, b) => number(a) - number(b));
}

/**
 * The logger of a run that counts marks of rules in a coverage: from log lines, and from what the
 * checker of the run shows it. Slow: for samples. One for each run.
 */
export class MarkReader implements Logger {
  /** What the checker tells. */
  readonly situations: Situations;
  readonly #coverage: Coverage;

  /** @param coverage where to count */
  constructor(coverage: Coverage) {
    this.situations = new Situations(coverage);
    this.#coverage = coverage;
  }

  enabled(_level: LogLevel): boolean {
    return true;
  }

  log(_level: LogLevel, message: string): void {
    for (const [mark, text] of MARKS) if (message.includes(text)) this.#coverage.count(mark);
  }
}
