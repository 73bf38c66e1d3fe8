import { isatty } from 'node:tty';
import { ConclaveError } from '@conclave/kernel';
import type { InputStream, Io, OutputStream } from './io.js';

/** The part of a stream of the process that is used here. */
interface Writer {
  readonly isTTY?: boolean | undefined;
  write(data: string | Uint8Array, callback: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** A reader that went away is told from output that cannot be kept. */
function outputFailed(error: Error): Error {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE') return error;
  return new ConclaveError('CV_OUTPUT_FAILED', `the output cannot be written (${code})`, {
    cause: error,
  });
}

function outputOf(writer: Writer): OutputStream {
  // The callback of the write tells; without a listener the same error would end the process.
  writer.on('error', () => undefined);
  return {
    isTerminal: writer.isTTY === true,
    write: (data) =>
      new Promise((resolve, reject) => {
        writer.write(data, (error) => {
          if (error === undefined || error === null) resolve();
          else reject(outputFailed(error));
        });
      }),
  };
}

/** Standard input is opened at its first use: a command that does not read leaves it alone. */
function inputOf(signal: AbortSignal): InputStream {
  return {
    isTerminal: isatty(0),
    setRaw: (isRaw) => {
      if (process.stdin.isTTY) process.stdin.setRawMode(isRaw);
    },
    chunks: async function* () {
      const { stdin } = process;
      const stop = (): void => {
        stdin.destroy(new ConclaveError('CV_CANCELLED', 'interrupted; nothing was done'));
      };
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
          yield chunk as Uint8Array;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stdin.pause();
      }
    },
  };
}

/** The streams and the environment of this process. */
export function processIo(signal: AbortSignal): Io {
  return {
    stdin: inputOf(signal),
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    env: process.env,
    userId: process.getuid?.() ?? 0,
  };
}
