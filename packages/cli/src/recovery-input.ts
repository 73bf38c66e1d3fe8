import { ConclaveError, limits } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import type { Call } from './command-spec.js';
import { HiddenInput } from './prompt.js';
import { readSecret } from './stdin.js';

/** Bytes of a text with the white space that people put into it. */
const TEXT_BYTES_MAX = 512;
const LINE_FEED = 0x0a;

/** Takes one text, which is lent, and says whether that is enough. */
export type Take = (text: SecretBytes) => Promise<'enough' | 'more'>;

/**
 * Lends the texts of a recovery key or its shares to `take`, one after the other: the lines of
 * standard input, or on a terminal what is typed, which is not shown. Ends when `take` has enough.
 * @throws CV_RECOVERY_KEY_INVALID when there was none at all
 */
export async function eachRecoveryText(call: Call, take: Take): Promise<void> {
  const count = call.io.stdin.isTerminal
    ? await fromTerminal(call, take)
    : await fromPipe(call, take);
  if (count > 0) return;
  throw new ConclaveError('CV_RECOVERY_KEY_INVALID', 'no recovery key was given');
}

function fromTerminal(call: Call, take: Take): Promise<number> {
  return HiddenInput.lend(call.io, TEXT_BYTES_MAX, async (input) => {
    for (let count = 0; ; count += 1) {
      const text = await input.line('recovery key or share (not shown): ');
      try {
        if (text.size === 0) return count;
        if ((await take(text)) === 'enough') return count + 1;
      } finally {
        text.wipe();
      }
    }
  });
}

async function fromPipe(call: Call, take: Take): Promise<number> {
  const bytesMax = TEXT_BYTES_MAX * limits.RECOVERY_SHARE_COUNT_MAX;
  const whole = await readSecret(call.io.stdin.chunks(), bytesMax);
  try {
    return await eachLine(whole, take);
  } finally {
    whole.wipe();
  }
}

/** Lends the lines that are not blank, until `take` has enough; answers how many it was lent. */
export async function eachLine(whole: SecretBytes, take: Take): Promise<number> {
  const { SecretBytes: Secret } = await import('@conclave/sealed');
  let count = 0;
  for (const [start, end] of whole.use(lineBounds)) {
    const line = Secret.allocate(end - start);
    line.use((target) => whole.use((view) => target.set(view.subarray(start, end))));
    try {
      count += 1;
      if ((await take(line)) === 'enough') return count;
    } finally {
      line.wipe();
    }
  }
  return count;
}

/** Where the lines begin and end that are not blank. */
function lineBounds(view: Uint8Array): [number, number][] {
  const bounds: [number, number][] = [];
  for (let start = 0; start < view.length;) {
    const feed = view.indexOf(LINE_FEED, start);
    const end = feed === -1 ? view.length : feed;
    if (view.subarray(start, end).some((byte) => byte > 0x20)) bounds.push([start, end]);
    start = end + 1;
  }
  return bounds;
}
