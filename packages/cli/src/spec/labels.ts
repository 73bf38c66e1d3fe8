import { ConclaveError } from '@conclave/kernel';
import type { OptionSpec } from '../command-spec.js';
import type { Flags } from '../flags.js';
import { parsePairs } from './pairs.js';

type Labels = Readonly<Record<string, string>>;

/** Options of commands that change labels. */
export const LABEL_CHANGE_OPTIONS: readonly OptionSpec[] = [
  { flags: '--label-add <key=value>', help: 'add or replace a label', isRepeated: true },
  { flags: '--label-rm <key>', help: 'take a label away', isRepeated: true },
];

/** What `--label-add` and `--label-rm` ask for. */
export interface LabelChange {
  readonly isAny: boolean;
  readonly set: Labels;
  readonly remove: readonly string[];
  /** The labels after the change. */
  readonly apply: (labels: Labels) => Labels;
}

/**
 * Reads the options.
 * @throws CV_ARGUMENT_INVALID for a malformed pair, or a key that is both added and taken away
 */
export function mergeLabels(flags: Flags): LabelChange {
  const set = parsePairs('--label-add', flags.list('labelAdd'));
  const remove = flags.list('labelRm');
  if (remove.some((key) => Object.hasOwn(set, key))) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'a label is both added and taken away');
  }
  return {
    isAny: remove.length > 0 || Object.keys(set).length > 0,
    set,
    remove,
    apply: (labels) => {
      const kept = Object.entries(labels).filter(([key]) => !remove.includes(key));
      return { ...Object.fromEntries(kept), ...set };
    },
  };
}
