import { delay } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';

import { OUTPUT_FOLLOW_MS, OUTPUT_PIECE_BYTES_MAX } from '../../limits.js';
import type { LogsOptions, OutputPiece } from '../executor.js';
import type { OutputLog } from './output-log.js';

const STREAMS = ['stdout', 'stderr'] as const;

/**
 * The kept output of a task in pieces, then, when asked to follow, what comes until the task has
 * ended. The order between the two streams is not kept.
 */
export async function* followOutput(request: {
  readonly outputs: Readonly<Record<'stdout' | 'stderr', OutputLog>>;
  readonly ended: Promise<unknown>;
  readonly timers: Timers;
  readonly options: LogsOptions;
}): AsyncGenerator<OutputPiece, void> {
  const { outputs, timers, options } = request;
  const offsets = {
    stdout: outputs.stdout.tail(options.tailLines),
    stderr: outputs.stderr.tail(options.tailLines),
  };
  let hasEnded = false;
  void request.ended.then(() => {
    hasEnded = true;
  });
  for (;;) {
    // Asked before reading: what was printed before the end is still read.
    const isLast = hasEnded || !options.follow;
    for (const stream of STREAMS) {
      for (;;) {
        if (options.signal.aborted) return;
        const { offset, bytes } = outputs[stream].read(offsets[stream], OUTPUT_PIECE_BYTES_MAX);
        if (bytes.length === 0) break;
        offsets[stream] = offset + bytes.length;
        yield { stream, bytes };
      }
    }
    if (isLast) return;
    if ((await delay(timers, OUTPUT_FOLLOW_MS, options.signal)) === 'aborted') return;
  }
}
