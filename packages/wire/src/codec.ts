import { ConclaveError, required } from '@conclave/kernel';
import { fromJSON } from '@grpc/proto-loader';
import type { MessageTypeDefinition, MethodDefinition } from '@grpc/proto-loader';
import { DESCRIPTOR } from './generated/descriptor.js';
import type { ErrorDetail, ErrorDetailInput } from './generated/conclave/v1/ErrorDetail.js';
import type { Services } from './generated/services.js';
import type { AnyMethod, MethodKind } from './method.js';

const PACKAGE = 'conclave.v1';

/** Throws when a number of the message cannot be one of ours; 64-bit fields decode lossily above. */
function checkNumbers(value: unknown): void {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return;
    throw new ConclaveError('CV_PROTOCOL', 'a number of the message is above 2^53-1');
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  for (const item of Object.values(value)) checkNumbers(item);
}

function kindOf(definition: MethodDefinition<object, object>): MethodKind {
  if (definition.requestStream) return definition.responseStream ? 'bidi' : 'client-stream';
  return definition.responseStream ? 'server-stream' : 'unary';
}

function encoder(encode: (value: object) => Buffer): (value: object) => Buffer {
  return (value) => {
    checkNumbers(value);
    return encode(value);
  };
}

function decoder(decode: (bytes: Buffer) => object): (bytes: Buffer) => object {
  return (bytes) => {
    let value: object;
    try {
      value = decode(bytes);
    } catch (cause) {
      throw new ConclaveError('CV_PROTOCOL', 'the bytes are not the expected message', { cause });
    }
    checkNumbers(value);
    return value;
  };
}

function methodOf(definition: MethodDefinition<object, object>): AnyMethod {
  return {
    kind: kindOf(definition),
    path: definition.path,
    encodeRequest: encoder(definition.requestSerialize),
    decodeRequest: decoder(definition.requestDeserialize),
    encodeResponse: encoder(definition.responseSerialize),
    decodeResponse: decoder(definition.responseDeserialize),
  };
}

interface Loaded {
  readonly services: Services;
  readonly errorDetail: MessageTypeDefinition<object, object>;
}

function load(): Loaded {
  const definitions = fromJSON(DESCRIPTOR as Parameters<typeof fromJSON>[0], {
    longs: Number,
    defaults: true,
    oneofs: true,
  });
  const services: Record<string, Record<string, AnyMethod>> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    if (!name.startsWith(`${PACKAGE}.`) || 'format' in definition) continue;
    const methods = Object.entries(definition).map(([method, row]) => [method, methodOf(row)]);
    services[name.slice(PACKAGE.length + 1)] = Object.fromEntries(methods);
  }
  const errorDetail = required(definitions[`${PACKAGE}.ErrorDetail`], 'ErrorDetail');
  return {
    services: services as unknown as Services,
    errorDetail: errorDetail as MessageTypeDefinition<object, object>,
  };
}

let loaded: Loaded | undefined;

function wire(): Loaded {
  loaded ??= load();
  return loaded;
}

/**
 * Every service with its methods and their codec; built once per process, at the first call.
 * Field names are in camel case, 64-bit integers are numbers up to 2^53-1, bytes are Buffers, absent
 * sub-messages are `null` (absent members of a oneof and absent `optional` fields: no property).
 * Decoding throws `CV_PROTOCOL` for malformed bytes and for larger numbers.
 */
export function loadWire(): Services {
  return wire().services;
}

/** The bytes of the trailer of a failed call. */
export function encodeErrorDetail(detail: ErrorDetailInput): Buffer {
  return encoder(wire().errorDetail.serialize)(detail);
}

/** Throws `CV_PROTOCOL` for malformed bytes. */
export function decodeErrorDetail(bytes: Buffer): ErrorDetail {
  return decoder(wire().errorDetail.deserialize)(bytes) as ErrorDetail;
}
