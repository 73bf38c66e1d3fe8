import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

/** Types of frames, RFC 9113 section 6. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames; the same bit means an end of stream on data and an acknowledgement elsewhere. */
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** One frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEADER_BYTES = 9;

/** The bytes of a frame. */
export function frameBytes(frame: Omit<Frame, 'payload'> & { payload?: Uint8Array }): Buffer {
  const payload = frame.payload ?? new Uint8Array(0);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = frame.type;
  header[4] = frame.flags;
  header.writeUInt32BE(frame.streamId, 5);
  return Buffer.concat([header, payload]);
}

function hpackInteger(value: number, prefixMax: number): number[] {
  if (value < prefixMax) return [value];
  const bytes = [prefixMax];
  let rest = value - prefixMax;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

const LITERAL = 0;
const LITERAL_INTO_TABLE = 0x40;

/** Header fields as HPACK literals that are not compressed; with `isKept` into the table as well. */
export function headerBlock(
  fields: readonly (readonly [string, string])[],
  isKept = false,
): Buffer {
  const parts: Buffer[] = [];
  for (const field of fields) {
    parts.push(Buffer.of(isKept ? LITERAL_INTO_TABLE : LITERAL));
    for (const text of field) {
      const bytes = Buffer.from(text, 'latin1');
      parts.push(Buffer.from(hpackInteger(bytes.length, 127)), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** The first index of the table that a connection fills. */
const FIRST_INDEX = 62;

/** The last `count` header fields that were put into the table, one byte each. */
export function keptBlock(count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, at) => 0x80 + FIRST_INDEX + count - 1 - at));
}

/**
 * Calls that are begun and given up at once, as few bytes as that takes. The first of them fills the
 * table of the connection, so that its stream has to be 1.
 */
export function resetCalls(path: string, first: number, count: number): Buffer {
  const fields = callHeaders(path);
  const pieces: Buffer[] = [];
  for (let streamId = first; pieces.length < 2 * count; streamId += 2) {
    const payload = streamId === 1 ? headerBlock(fields, true) : keptBlock(fields.length);
    pieces.push(
      frameBytes({ type: FRAME.headers, flags: FLAG.endHeaders, streamId, payload }),
      frameBytes({ type: FRAME.reset, flags: 0, streamId, payload: Buffer.of(0, 0, 0, 8) }),
    );
  }
  return Buffer.concat(pieces);
}

/** The header fields of a gRPC call. */
export function callHeaders(path: string): [string, string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', 'x'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ];
}

/**
 * An HTTP/2 client over TLS that sends whatever bytes it is told to and answers nothing by itself: no
 * acknowledgement, no window, no end. For what a library would never send.
 */
export class RawHttp2 {
  readonly socket: TLSSocket;
  /** Frames that came, in order. Cleared by whoever reads them. */
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #wake: (() => void)[] = [];

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    // Small frames are what it sends; each would wait for the acknowledgement of the one before.
    socket.setNoDelay(true);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
        this.#notify();
      });
    });
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
  }

  /** Resolves after the handshake; nothing of HTTP/2 was sent yet. */
  static connect(options: ConnectionOptions): Promise<RawHttp2> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ALPNProtocols: ['h2'], rejectUnauthorized: false, ...options });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.removeListener('error', reject);
        resolve(new RawHttp2(socket));
      });
    });
  }

  /** Preface and empty settings. */
  greet(): void {
    this.write(PREFACE);
    this.frame({ type: FRAME.settings, flags: 0, streamId: 0 });
  }

  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  frame(frame: Parameters<typeof frameBytes>[0]): void {
    this.write(frameBytes(frame));
  }

  /** Begins a call, with one message when there is one; the stream stays open on our side. */
  call(streamId: number, path: string, message?: Uint8Array): void {
    const payload = headerBlock(callHeaders(path));
    this.frame({ type: FRAME.headers, flags: FLAG.endHeaders, streamId, payload });
    if (message !== undefined) this.message(streamId, message);
  }

  /** One gRPC message that is not compressed. */
  message(streamId: number, message: Uint8Array): void {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const payload = Buffer.concat([head, message]);
    this.frame({ type: FRAME.data, flags: 0, streamId, payload });
  }

  /** Resolves once `test` holds for the frames so far or the connection is closed. */
  async until(test: (frames: readonly Frame[]) => boolean): Promise<void> {
    while (!this.socket.destroyed && !test(this.frames)) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #received(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      this.frames.push({
        type: this.#rest.readUInt8(3),
        flags: this.#rest.readUInt8(4),
        streamId: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(HEADER_BYTES, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
    this.#notify();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
