import { styleText } from 'node:util';
import type { Io } from '../io.js';

/** Colours are for terminals that have not been told to do without (`NO_COLOR`, `TERM=dumb`). */
export function paint(io: Io, colour: 'red' | 'green' | 'yellow', text: string): string {
  const isPlain =
    !io.stderr.isTerminal || (io.env['NO_COLOR'] ?? '') !== '' || io.env['TERM'] === 'dumb';
  return isPlain ? text : styleText(colour, text, { validateStream: false });
}
