import { changesOf, decodeConfChange } from '../../codec/conf-change.js';
import type { Message } from '../../message-types.js';
import type { ConfChange } from '../../types.js';
import type { SimParameters } from '../parameters.js';
import type { ScriptBlock } from './journal.js';

const LETTERS = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
} as const;

/** A change as options and input of a command. */
export function describeChange(change: ConfChange): { options: string; steps: string } {
  const steps = changesOf(change).map(({ type, nodeId }) => `${LETTERS[type]}${nodeId}`);
  return { options: optionsOf(change), steps: steps.join(' ') };
}

function optionsOf(change: ConfChange): string {
  if (change.version === 1) return ' v1=true';
  if (change.transition === 'auto') return '';
  return ` transition=${change.transition === 'jointExplicit' ? 'explicit' : 'implicit'}`;
}

/**
 * What puts a message in flight.
 *
 * @param text the message in words
 * @returns undefined if the words leave out something that counts, or if nobody reads them: ids above 9
 *   are printed in hexadecimal digits
 */
export function injectable(message: Message, text: string): string | undefined {
  if (Math.max(message.from, message.to) > 9) return undefined;
  const isPlain = message.entries.every((entry) => {
    if (entry.type !== 'EntryConfChangeV2') return true;
    const change = decodeConfChange(entry);
    return change.version === 2 && change.transition === 'auto';
  });
  if (!isPlain) return undefined;
  if (message.context.length === 0) return text;
  const digits = [...message.context].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const [first, ...rest] = text.split('\n');
  return [`${first} Context:${digits}`, ...rest].join('\n');
}

/** The options that members have in common. */
export function nodeOptions(parameters: SimParameters): string {
  const limits = [
    ['max-size-per-msg', parameters.maxSizePerMsg],
    ['max-committed-size-per-ready', parameters.maxCommittedSizePerReady],
    ['max-uncommitted-size', parameters.maxUncommittedEntriesSize],
    ['max-inflight-bytes', parameters.maxInflightBytes],
  ] as const;
  // Left out, it would be that of a message.
  const derived = isLimit(parameters.maxSizePerMsg) ? 'max-committed-size-per-ready' : undefined;
  const switches = [
    ['async-storage-writes', parameters.asyncStorageWrites],
    ['prevote', parameters.preVote],
    ['checkquorum', parameters.checkQuorum],
    ['step-down-on-removal', parameters.stepDownOnRemoval],
    ['disable-proposal-forwarding', parameters.disableProposalForwarding],
  ] as const;
  return [
    `inflight=${parameters.maxInflightMsgs}`,
    ...limits
      .filter(([name, value]) => isLimit(value) || name === derived)
      .map(([name, value]) => `${name}=${value}`),
    ...switches.filter(([, isOn]) => isOn).map(([name]) => `${name}=true`),
    ...(parameters.deferVoteRequests ? [] : ['defer-vote-requests=false']),
  ].join(' ');
}

/** Whether a parameter limits something. */
export function isLimit(value: number): boolean {
  return value < Number.MAX_SAFE_INTEGER;
}

/** Commands as the text of a script. */
export function scriptOf(title: readonly string[], blocks: readonly ScriptBlock[]): string {
  const lines = title.map((line) => `# ${line}`);
  for (const { comments, command, input, output } of blocks) {
    lines.push('', ...comments.map((comment) => `# ${comment}`), command, ...input, '----');
    lines.push(...(output.length === 0 ? ['ok'] : output));
  }
  return `${lines.join('\n')}\n`;
}
